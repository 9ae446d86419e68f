"""Rows and pictures of datasets with many labels: classes by stride and grid, and what is left out."""

import json

import numpy as np
import pytest
import xarray as xr

from equivariance.plots import STYLES
from equivariance.reporting.figures import MOST_LINES as LINES
from equivariance.reporting.figures import MOST_PANELS as PANELS
from equivariance.reporting.figures import error_picture
from equivariance.reporting.table import rows

T = np.array([[0.0], [0.5], [1.0], [2.0], [0.3]])


def dataset(configuration=None, **axes) -> xr.Dataset:
    """Errors that number the cells, by these axes and the translation."""
    shape = (*map(len, axes.values()), len(T))
    errors = 1e-3 * np.arange(1, 1 + np.prod(shape)).reshape(shape)
    data = xr.Dataset(
        {"error": ((*axes, "translation"), errors)},
        coords={**axes, "t": (("translation", "axis"), T)},
    )
    return data.assign_attrs({} if configuration is None else {"configuration": configuration})


GRIDS = json.dumps({"grids": {"a": {"shape": [8]}, "b": {"shape": [8], "spacing": 0.5}}})


@pytest.mark.parametrize("grids", [["a", "b"], ["b"]])
def test_translations_are_told_apart_by_the_row_s_stride_and_spacing(grids) -> None:
    """Multiples of stride × spacing: 2 and 4 on a, 1 and 2 on b; others by the spacing; 0.3 lies between all."""
    data = dataset(GRIDS, layer=["l"], stride=[2, 4], grid=grids)
    multiples = {("a", 2): [0, 3], ("a", 4): [0], ("b", 2): [0, 2, 3], ("b", 4): [0, 3]}
    between = {"a": [1, 4], "b": [4]}
    found = rows(data)
    assert len(found) == 2 * len(grids)
    for row in found:
        grid, stride = row.labels.get("grid", grids[0]), int(row.labels["stride"])
        errors = data["error"].sel(layer="l", stride=stride, grid=grid).to_numpy()
        own = multiples[grid, stride]
        others = sorted({*range(len(T))} - {*own} - {*between[grid]})
        expected = [errors[i].max() if i else np.nan for i in (own, others, between[grid])]
        np.testing.assert_array_equal(row.classes, expected)


UNUSABLE = [
    json.dumps({"grids": {"a": {"spacing": spacing}}})
    for spacing in (0.0, -1.0, float("inf"), [1.0, 1.0], "x", None, {})
]


@pytest.mark.parametrize(
    "configuration", [None, "{}", "no JSON", "[]", '{"grids": {"a": 3}}', *UNUSABLE]
)
def test_results_that_do_not_say_their_spacing_have_no_classes(configuration) -> None:
    (row,) = rows(dataset(configuration, layer=["l"], stride=[2], grid=["a"]))
    assert row.classes is None
    assert row.worst == pytest.approx(5e-3)


def shown(figure):
    return [axes for axes in figure.axes if axes.get_visible()]


def test_every_combination_has_a_panel_and_every_layer_a_line() -> None:
    """Three panels on two columns: the fourth stays empty."""
    data = dataset(layer=["one", "other"], grid=["a", "b", "c"])
    figure, omitted = error_picture(data)
    assert omitted == []
    assert [axes.get_title() for axes in shown(figure)] == ["grid a", "grid b", "grid c"]
    for grid, axes in zip("abc", shown(figure), strict=True):
        lines = {line.get_label(): line for line in axes.get_lines()}
        for layer in ("one", "other"):
            error = data["error"].sel(layer=layer, grid=grid).to_numpy()
            np.testing.assert_array_equal(lines[layer].get_xdata(), sorted(T[:, 0]))
            np.testing.assert_array_equal(lines[layer].get_ydata(), error[T[:, 0].argsort()])


def test_what_a_picture_has_no_room_for_is_said() -> None:
    many = [str(i) for i in range(LINES + 2)]
    data = dataset(layer=many, grid=list("abcd"), stride=[1, 2])
    figure, omitted = error_picture(data)
    assert len(shown(figure)) == PANELS
    assert omitted == [
        f"the first {PANELS} of 8 combinations of grid and stride",
        f"the {LINES} layers with the largest errors of {len(many)}",
    ]
    drawn = {line.get_label() for line in shown(figure)[0].get_lines()}
    assert drawn >= set(many[2:])  # errors grow with the number of the cell
    assert not drawn & set(many[:2])
    assert len(STYLES) == LINES


def test_errors_without_layers_are_one_line() -> None:
    figure, omitted = error_picture(dataset(grid=["a", "b"]))
    assert omitted == []
    assert [len(axes.get_lines()) for axes in shown(figure)] == [1, 1]
    assert shown(figure)[0].get_lines()[0].get_label() == "error"
