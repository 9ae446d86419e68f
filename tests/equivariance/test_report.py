"""Pages: all that goes in is escaped, and nothing may be missing."""

import jinja2
import pytest

from equivariance.text import aligned, inline, number, render, vector


def test_a_name_that_is_missing_raises():
    with pytest.raises(jinja2.UndefinedError):
        render("stride.html")


def test_a_picture_becomes_an_address():
    assert inline(b"\x89PNG") == "data:image/png;base64,iVBORw=="


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.234e-16, "1.2e-16"),
        (0.5, "5.0e-01"),
        (5e-324, "4.9e-324"),
        (float("nan"), "–"),
    ],
)
def test_numbers_are_short_and_zero_is_exact(value, text):
    assert number(value) == text


def test_vectors():
    assert vector((1.0, 0.125)) == "(1, 0.125)"


def test_tables_are_aligned():
    assert aligned(["a", "long"], [["1", "2"], ["333", "4"]]).splitlines() == [
        "  a    long",
        "  ───  ────",
        "  1    2",
        "  333  4",
    ]
