"""Pictures: every number drawn once, at its place; both ways round the diagram as they are measured."""

import matplotlib.colors
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from discretize import EquivariantSubsampling, Grid, Stride
from equivariance import equivariance_error
from equivariance.diagram import diagrams, square, strongest_channel
from equivariance.plots import CONTINUOUS, STYLES, coloured, error_curves, png
from equivariance.verdicts import tolerance
from fields import random_bandlimited
from tests.equivariance.synthetic import synthetic

TITLES = {"photograph": "a photograph", "random": "noise"}


@pytest.fixture(scope="module")
def figure():
    return error_curves(synthetic(stride=2), TITLES, 2, tolerance())


def points(axes):
    """The curves of an axis, vertical marks left out, as lists of points; gaps left out."""
    curves = []
    for line in axes.get_lines():
        x, y = (np.asarray(v, float) for v in line.get_data())
        if len(x) != 2 or list(y) != [0, 1]:
            curves.append([(a, b) for a, b in zip(x, y, strict=True) if np.isfinite(b)])
    return curves


def test_every_error_is_in_exactly_one_band(figure):
    assert len(figure.axes) == 6
    for column in range(2):
        upper, middle, lower = (points(figure.axes[2 * row + column]) for row in range(3))
        for each in zip(upper, middle, lower, strict=True):
            assert sum(map(len, each)) == 17  # quarters of pixels from 0 to 4
        # continuous: zeros only; fine: whole pixels are round-off; strided: multiples of 2 are
        assert [len(c) for c in upper] == [0, 12, 14]
        assert [len(c) for c in middle] == [0, 5, 3]
        assert [len(c) for c in lower] == [17, 0, 0]


def test_curves_show_the_worst_direction():
    data = synthetic(stride=2)
    one = int(np.flatnonzero((data["t"] == [0.0, 1.5]).all("axis"))[0])
    data["error"][0, 0, 1, one] = 0.7
    upper = points(error_curves(data, TITLES, 2, tolerance()).axes[0])[1]
    assert dict(upper)[1.5] == 0.7


def test_continuous_networks_share_a_curve_of_the_worst():
    data = synthetic(stride=2)
    one = int(np.flatnonzero((data["t"] == [0.5, 0.0]).all("axis"))[0])
    data["error"][1, 0, 0, one] = 0.7
    assert points(error_curves(data, TITLES, 2, tolerance()).axes[0])[0] == [(0.5, 0.7)]


def test_zeros_have_a_lane_each():
    data = synthetic(stride=2)
    data["error"][:] = 0
    lower = points(error_curves(data, TITLES, 2, tolerance()).axes[4])
    assert [{y for _, y in curve} for curve in lower] == [{0.0}, {1.0}, {2.0}]


def test_nothing_drawn_is_outside_its_axis(figure):
    for axes in figure.axes:
        low, high = sorted(axes.get_ylim())
        left, right = axes.get_xlim()
        for x, y in (p for curve in points(axes) for p in curve):
            assert low <= y <= high
            assert left <= x <= right


def test_colours_differ_in_lightness_or_hue_for_everyone():
    """Okabe and Ito's colours with markers of their own: no two curves share either."""
    colours, markers = zip(*STYLES, strict=True)
    assert len(set(markers)) == len(set(colours)) == len(STYLES)
    assert all(matplotlib.colors.is_color_like(c) for c in (*colours, CONTINUOUS))


def test_a_figure_becomes_a_png(figure):
    assert png(figure).startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize("t", [(1.0, 0.0), (0.0, 2.0), (0.5, 1.25)])
@pytest.mark.parametrize("layer", [Stride(2), EquivariantSubsampling(2)])
def test_the_diagram_shows_the_error_that_is_measured(layer, t):
    field = random_bandlimited(2, 2, bandlimit=0.4, period=12.0, seed=1)
    grid = Grid((12, 12), 1.0)
    drawn = square("any", layer, field, t, grid)
    assert drawn.error == pytest.approx(float(equivariance_error(layer, field, t, grid)), abs=1e-15)


def test_the_square_commutes_where_it_should():
    field = random_bandlimited(2, 1, bandlimit=0.4, period=12.0, seed=1)
    grid = Grid((12, 12), 1.0)
    assert square("", EquivariantSubsampling(2), field, (1.0, 1.0), grid).commutes
    assert square("", Stride(2), field, (2.0, 0.0), grid).commutes
    assert not square("", Stride(2), field, (1.0, 1.0), grid).commutes


def test_diagrams_share_their_scales():
    field = random_bandlimited(2, 2, bandlimit=0.4, period=12.0, seed=1)
    grid = Grid((12, 12), 1.0)
    layers = [Stride(2), EquivariantSubsampling(2)]
    squares = [square(type(m).__name__, m, field, (1.0, 0.0), grid) for m in layers]
    channel = strongest_channel(squares[0].difference)
    figure = diagrams(squares, channel)
    images = [a.get_images()[0] for part in figure.subfigs for a in part.axes if a.get_images()]
    by_colour: dict[str, set[tuple[float, float]]] = {}
    for image in images:
        by_colour.setdefault(image.get_cmap().name, set()).add(image.get_clim())
    assert len(images) == 12
    assert all(len(limits) == 1 for limits in by_colour.values())
    ((low, high),) = by_colour["RdBu_r"]
    assert -low == high == float(squares[0].difference.values[channel].abs().max())
    for part, each in zip(figure.subfigs, squares, strict=True):
        shown = {a.get_title(): a.get_images()[0].get_array() for a in part.axes if a.get_images()}
        assert np.array_equal(shown["t▷F"], each.moved.values[0])
        assert np.array_equal(shown["L(t▷F)"], each.output_of_moved.values[channel])
        assert np.array_equal(shown["L(t▷F) − t▷L(F)"], each.difference.values[channel])


def test_a_difference_of_zero_can_be_drawn():
    field = random_bandlimited(2, 1, bandlimit=0.4, period=12.0, seed=1)
    same = square("the identity", torch.nn.Identity(), field, (0.0, 0.0), Grid((12, 12), 1.0))
    assert png(diagrams([same]), dpi=50).startswith(b"\x89PNG\r\n")


def test_tables_of_errors_are_drawn_whatever_is_in_them():
    errors = np.array([[0.0, 3e-16, np.nan], [np.inf, 1.0, 2e-3]])
    axes = Figure().subplots()
    image = coloured(axes, errors, sign=lambda e: "<" if e < 1 else "")
    said = [text.get_text() for text in axes.texts]
    assert said == ["<0", "<10$^{-16}$", "?", "?", "10$^{0}$", "<10$^{-3}$"]
    assert np.isnan(image.get_array().filled(np.nan)[0, 2])
