"""`assert_equivariant`: passes, or names the layer, the translation and the error."""

import pytest
import torch
from torch import nn

from equivariance import assert_equivariant
from tests.equivariance.models import plain, seeded


def ring(stride=1):
    return nn.Conv2d(2, 2, 3, stride, 1, padding_mode="circular")


def test_it_passes_and_gives_the_measurement():
    data = assert_equivariant(ring(), size=(8, 8))
    assert data["layer"].to_numpy().tolist() == ["output"]
    assert_equivariant(nn.Sequential(ring(2), nn.ReLU(), ring(2)), size=(16, 16), layers="all")


def test_strides_of_layers_that_are_not_watched_count():
    strided = nn.Sequential(ring(2), nn.ReLU(), ring(2))
    invariant = nn.Sequential(strided, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    data = assert_equivariant(invariant, size=(16, 16))
    assert data["layer"].to_numpy().tolist() == ["output"]
    assert data["stride"].to_numpy().tolist() == [[4.0, 4.0]]
    there_and_back = nn.Sequential(strided, nn.Upsample(scale_factor=4))
    with pytest.raises(AssertionError, match=r"stride 1.*it commutes with: 4Z × 4Z$"):
        assert_equivariant(there_and_back, size=(16, 16))


def test_it_names_layer_translation_error_and_group():
    model = nn.Sequential(ring(), nn.ReLU(), nn.MaxPool2d(2))
    with pytest.raises(
        AssertionError,
        match=r"^2 \(MaxPool2d, stride 2\) isn't equivariant: relative error \d\.\de[-+]\d\d > "
        r"5\.4e-05 for the translation by \(1, 0\) pixels, input \d; of those tested it commutes with: 2Z × 2Z",
    ):
        assert_equivariant(
            model, translations=[[2.0, 0], [0, 2], [1, 0]], size=(16, 16), layers="all"
        )


def test_the_first_layer_in_the_order_of_execution_is_named():
    with pytest.raises(AssertionError, match=r"^0 \(Conv2d, stride 1\)"):
        assert_equivariant(seeded(plain), size=(16, 16), layers="all")
    assert_equivariant(seeded(plain), size=(16, 16), layers="all", padding="circular")


def test_tolerances():
    model, t = nn.MaxPool2d(2), [[1.0, 0.0]]
    assert_equivariant(model, translations=t, size=(16, 16), tolerance=2.0)
    with pytest.raises(AssertionError, match=r"> 1\.0e-01"):
        assert_equivariant(model, translations=t, size=(16, 16), tolerance=0.1)
    with pytest.raises(ValueError, match="tolerance must be a finite number"):
        assert_equivariant(model, size=(16, 16), tolerance=-1)


def test_nothing_compared_is_nothing_asserted():
    with pytest.raises(ValueError, match="nothing is asserted"):
        assert_equivariant(
            nn.MaxPool2d(8),
            torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)),
            [[1.0, 0.0]],
        )


def test_a_given_translation_that_was_not_compared_is_not_asserted():
    windows = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2))
    assert_equivariant(windows, translations=[[2.0, 0.0]], size=(16, 16))
    with pytest.raises(ValueError, match=r"compared under the translation by \(0\.5, 0\) pixels"):
        assert_equivariant(windows, translations=[[2.0, 0.0], [0.5, 0.0]], size=(16, 16))
