"""What comoving grids promise, they test: waves at Nyquist, and origins that are unknown, are said with the cure."""

import warnings

import pytest
import skimage
import torch
from torch import Tensor, nn

from discretize import (
    AliasFreeActivation,
    AliasingWarning,
    ComovingSubsampling,
    Grid,
    LowConfidence,
    Samples,
    sample,
)
from discretize.origins import Centroid, Phase
from discretize.promises import nyquist_share, without_nyquist
from equivariance import Comoving, equivariance_error
from fields import Interpolated, random_bandlimited
from layers import Conv, Pointwise
from tests.compare import assert_close

GRID = Grid((64, 64), 1.0)


def camera() -> Tensor:
    """Every 8th pixel: a 1/1,700 of its energy is at Nyquist."""
    return torch.from_numpy(skimage.data.camera()[::8, ::8].copy()).double()[None] / 255


def share(x: Tensor) -> float:
    """Energy in rows 32 and columns 32 of the spectrum."""
    energy = torch.fft.fft2(x).abs().square()
    rows = energy[..., 32, :].sum() + energy[..., :, 32].sum() - energy[..., 32, 32].sum()
    return float(rows / energy.sum())


def real_translations(count: int = 40) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return 64 * torch.rand(count, 2, generator=draw, dtype=torch.float64)


def band(limit: float, dtype: torch.dtype = torch.float64) -> Samples:
    return sample(random_bandlimited(2, 2, limit, 64.0, seed=0, dtype=dtype), GRID)


@pytest.mark.parametrize("predictor", [Phase(), Phase("strongest"), Centroid()], ids=repr)
def test_waves_at_nyquist_are_told_with_their_share(predictor) -> None:
    x = camera()
    said = f"{100 * share(x):.2g} % of the input's energy lies in waves at Nyquist.*nyquist='drop'"
    with pytest.warns(AliasingWarning, match=said):
        ComovingSubsampling(2, predictor)(Samples(x, GRID))
    with pytest.warns(AliasingWarning, match=said):
        Comoving(nn.Identity(), predictor=predictor)(x[None])


def test_the_share_is_that_of_the_spectrum() -> None:
    """Where a share is small, as the sum of those of the axes; direct and by the energy's waves."""
    x = camera()
    for dtype, constant in ((torch.float64, 100), (torch.float32, 100)):
        values = x.to(dtype)
        direct = nyquist_share(values[None], 2)
        assert_close(direct[0].to(dtype), torch.tensor(share(x), dtype=dtype), constant, 1.0)
        told = Phase().with_nyquist(Samples(values, GRID), (2.0, 2.0))[2]
        assert abs(float(told) - share(x)) < 1e-2 * share(x)
    x = torch.zeros(1, 4, 4)
    assert float(nyquist_share(x[None], 2)) == 0.0


@pytest.mark.parametrize("shape", [(6,), (5,), (4, 6), (5, 4), (4, 3, 6)])
def test_without_nyquist(shape: tuple[int, ...]) -> None:
    """The discrete Fourier transform without the rows ±N/2 of even axes."""
    dim = len(shape)
    axes = tuple(range(-dim, 0))
    x = torch.randn(2, 3, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectrum = torch.fft.fftn(x, dim=axes)
    for axis, n in zip(axes, shape, strict=True):
        if n % 2 == 0:
            spectrum.select(axis, n // 2).zero_()
    assert_close(without_nyquist(x, dim), torch.fft.ifftn(spectrum, dim=axes).real, 20)


@pytest.mark.parametrize("wrap", ["layer", "model"])
def test_dropped_they_break_nothing(wrap: str) -> None:
    """A camera photo at 40 real translations: 3e-2 with them, rounding without, silently."""
    field = Interpolated(camera(), 1.0)

    def errors(nyquist: str) -> float:
        if wrap == "layer":
            layer = ComovingSubsampling(2, nyquist=nyquist)
            return float(equivariance_error(layer, field, real_translations(), GRID).max())
        model = Comoving(nn.MaxPool2d(2), nyquist=nyquist)
        moved = sample(field.translate(real_translations()), GRID, prefilter="none").values
        before, after = model(camera()[None])[0], model(moved)[0]
        return float((after - before).flatten(1).norm(dim=1).max() / before.norm())

    assert errors("keep") > 1e-3
    assert errors("drop") < 1e-10


@pytest.mark.parametrize("limit", [0.10, 0.23])
def test_the_layer_says_that_its_origin_is_unknown(limit: float) -> None:
    """Below the coarse Nyquist frequency, before a ReLU: with the two cures, which work."""
    f = band(limit)
    weights = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(1)).double()
    head = nn.Sequential(Conv.from_array(weights / 4, 2.0), Pointwise(torch.relu))
    with pytest.warns(LowConfidence, match=r"alias-free activation.*equivariance\.Comoving"):
        nn.Sequential(ComovingSubsampling(2), head)(f)


def test_nothing_is_said_where_nothing_is_wrong() -> None:
    """Above the coarse Nyquist frequency and below Nyquist; behind an alias-free activation; where it is meant."""
    for dtype in (torch.float64, torch.float32):
        ComovingSubsampling(2)(band(0.4, dtype))
        Comoving(nn.Identity())(band(0.4, dtype).values[None])
        activation = AliasFreeActivation().to(dtype)
        nn.Sequential(activation, ComovingSubsampling(2))(band(0.23, dtype))
        ComovingSubsampling(2, bound=0)(band(0.1, dtype))
        ComovingSubsampling(1)(band(0.1, dtype))
    ComovingSubsampling(2, nyquist="keep")(Samples(camera(), GRID))


def test_once_per_call_site() -> None:
    """As warnings work: the line is the caller's."""
    layer, f = ComovingSubsampling(2), Samples(camera(), GRID)
    model = Comoving(nn.Identity())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        for _ in range(3):
            layer(f)
            model(f.values[None])
            layer.with_confidence(f)
    assert len(said) == 3
    assert {w.filename for w in said} == {__file__}


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="nyquist"):
        ComovingSubsampling(2, nyquist="gone")
    with pytest.raises(ValueError, match="bound"):
        Comoving(nn.Identity(), bound=-1.0)
