"""The public interface as an outsider uses it: every name, on both carriers."""

import math

import pytest
import torch
from torch import nn

import discretize
import equivariance
import fields
import layers
from discretize import Grid, Samples, origins, sample
from fields import Atoms, Ball, Box, GaussianKernel, Interpolated, Kernel, Mask, PlaneWaves
from layers import Bias, Conv, Pointwise

NAMES = {
    fields: """FeatureMap Field Constant Gaussians PlaneWaves Gabors Bumps Balls Boxes Polynomial Sprites Formula
        Interpolated random_bandlimited local_translation Kernel GaussianKernel BumpKernel BoxKernel Atoms Ball Box
        Mask""",
    discretize: """Grid sample Samples aliasing required_grid Stride BlurPool IdealLowpass AdaptivePolyphase
        LearnablePolyphase EquivariantSubsampling ComovingSubsampling comoving_grid""",
    layers: """Conv Bias Pointwise AvgPool MaxPool LpPool SoftMaxPool GlobalPool IntegralOperator BiasField
        PointwiseField PoolField shared TorchModel OnGrid""",
    equivariance: "equivariance_error sweep measure assert_equivariant Comoving intertwiners",
}
PAIRS = [(package, name) for package, names in NAMES.items() for name in names.split()]
FIELD = fields.random_bandlimited(2, 2, bandlimit=0.2, period=16.0, seed=0)
GRID = Grid((16, 16), 1.0)


@pytest.mark.parametrize(("package", "name"), PAIRS, ids=lambda p: getattr(p, "__name__", p))
def test_every_name_is_there_and_says_what_it_is(package, name: str) -> None:
    """Importable from the top of its package, with a docstring."""
    found = getattr(package, name)
    assert found.__doc__, f"{package.__name__}.{name} has no docstring"
    assert name in dir(package)


@pytest.mark.parametrize("predictor", ["Argmax", "Phase", "RefinedArgmax", "Centroid"])
def test_origins_predict_and_say_how_sure_they_are(predictor: str) -> None:
    """predictor(feature_map, modulus) -> origin (*batch, d), confidence (*batch, d)."""

    f = sample(FIELD, GRID)
    origin, confidence = getattr(origins, predictor)()(f, 2.0)
    assert origin.shape == confidence.shape == (2,)


def test_the_vocabulary_on_both_carriers() -> None:
    """Every word takes a Field to a Field and Samples to Samples."""
    f = sample(FIELD, GRID)
    kernel = GaussianKernel(1.0, torch.eye(2).double())
    for map_ in (FIELD, f):
        for made in (
            map_.translate([0.3, 0.1]),
            map_.map(torch.relu),
            map_.convolve(kernel),
            map_.pool(Ball(1.5), "mean"),
            map_.pool(Box(2.0), "max"),
            map_.pool(Mask(torch.ones(2, 2), 1.0), "mean"),
            map_.mix([[1.0, -1.0]]),
            map_.stride(2),
            map_ + map_,
            map_ - 1.0,
            2.0 * map_,
            map_ * map_,
        ):
            assert isinstance(made, fields.Field) == isinstance(map_, fields.Field)


def test_fields_know_themselves() -> None:
    """dim, channels, batch, bandlimit, period, gradient, integrals, norms, resolution."""
    assert (FIELD.dim, FIELD.channels, FIELD.batch) == (2, 2, ())
    assert max(FIELD.bandlimit) <= 0.2
    assert FIELD.is_periodic(16.0)
    assert not FIELD.is_periodic(15.0)
    x = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0)).double()
    assert FIELD(x).shape == (3, 4, 2)
    assert FIELD.gradient(x).shape == (3, 4, 2, 2)
    assert FIELD.integrate().shape == (2,)
    assert FIELD.norm().shape == FIELD.inner(FIELD).shape
    assert float(FIELD.inner(FIELD) - FIELD.norm() ** 2) == pytest.approx(0, abs=1e-9)
    assert FIELD.map(torch.tanh).resolve(1e-2).dim == 2


def test_samples_and_back() -> None:
    """Grid, points, translate, stride, refine, dilate, nyquist, extent; sample, interpolate, resample, xarray."""
    grid = Grid((8, 4), (0.5, 1.0), origin=[0.1, 0.2])
    assert grid.points().shape == (8, 4, 2)
    assert tuple(grid.extent) == (4.0, 4.0)
    assert tuple(grid.nyquist) == (1.0, 0.5)
    assert grid.stride(2).shape == (4, 2)
    assert grid.refine(2).shape == (16, 8)
    assert grid.translate([0.1, 0.0]).shape == (8, 4)
    assert grid.dilate(2).shape == (12, 8)
    f = sample(FIELD, GRID, rtol=1e-4)
    assert f.accuracy == 0.0
    assert f.interpolate("fourier")(torch.zeros(2).double()).shape == (2,)
    assert f.resample(GRID.translate([0.5, 0.0]), "fourier").values.shape == (2, 16, 16)
    again = Samples.from_xarray(f.to_xarray())
    assert torch.equal(again.values, f.values)


def test_kernels_layers_and_torch() -> None:
    """Atoms and densities, arrays and modules, invariants, adapters."""
    array = torch.randn(3, 3, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    f = sample(FIELD, GRID)
    by_array = Conv.from_array(array, spacing=1.0)(f)
    by_atoms = Conv(Atoms.from_array(array, 1.0))(f)
    assert torch.equal(by_array.values, by_atoms.values)
    module = nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular", bias=False).double()
    assert torch.allclose(Conv.from_torch(module, 1.0)(f).values, module(f.values[None])[0])
    density = Kernel(lambda y: torch.ones(*y.shape[:-1], 1, 2), 1, 2, radius=1.0)
    assert Conv(density)(FIELD).channels == 1
    net = nn.Sequential(
        Conv.from_array(array, 1.0), Bias(torch.zeros(4).double()), Pointwise(torch.relu)
    )
    for kind in ("mean", "integral", "max", 2):
        assert layers.GlobalPool(kind)(net(f)).shape == (4,)
    with pytest.raises(ValueError, match="mean"):
        layers.GlobalPool("mean")(fields.Gaussians([[0.0, 0.0]], [[1.0]], [1.0]))
    assert layers.OnGrid(net, GRID)(f.values).shape == (4, 16, 16)
    assert layers.TorchModel(module)(Samples(f.values[None], GRID)).values.shape == (1, 4, 16, 16)
    with pytest.raises(TypeError, match="sample"):
        layers.TorchModel(module)(FIELD)


@pytest.mark.parametrize(
    "name", ["AdaptivePolyphase", "EquivariantSubsampling", "Stride", "BlurPool", "IdealLowpass"]
)
def test_subsampling_and_its_partner(name: str) -> None:
    """Samples to Samples on a coarser grid, a Field to itself; `.upsampling` puts values back."""
    down = getattr(discretize, name)(2)
    f = sample(FIELD, GRID)
    coarse = down(f)
    assert coarse.grid.shape == (8, 8)
    assert isinstance(down(FIELD), fields.Field)
    assert down.upsampling(coarse).grid.shape == (16, 16)


def test_comoving() -> None:
    """comoving_grid -> Grid, confidence; ComovingSubsampling; Comoving(module) -> output, origin, confidence."""
    f = sample(FIELD, GRID)
    grid, confidence = discretize.comoving_grid(f, 2)
    assert grid.shape == (8, 8)
    assert confidence.shape == (2,)
    assert discretize.ComovingSubsampling(2, bound=0)(f).grid.shape == (8, 8)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)).double()
    out, origin, confidence = equivariance.Comoving(model)(f.values[None])
    assert out.shape == (1, 3, 8, 8)
    assert origin.shape == (1, 2)


def test_errors_and_theorems() -> None:
    """equivariance_error with points and with a grid, and the space of commuting maps."""
    net = nn.Sequential(Conv(GaussianKernel(1.0, [[1.0, 0.5]])), Pointwise(torch.relu))
    t = [[math.sqrt(2), 0.3]]
    x = 16 * torch.rand(20, 2, generator=torch.Generator().manual_seed(0)).double()
    with torch.no_grad():
        assert float(equivariance.equivariance_error(net, FIELD, t, points=x)) <= 1e-12
        assert float(equivariance.equivariance_error(net, FIELD, t, GRID)) > 1e-6
    space = equivariance.theorems.intertwiners((4, 4), 1, 2, stride=2)
    assert space.dimension == 4 * 16 * 2
    assert space.basis.shape[0] == space.dimension


def test_local_translation_and_images(tmp_path) -> None:
    """Parts that move on their own, and fields of pictures."""
    parts = [fields.Gaussians([[0.0, 0.0]], [[1.0]], [1.0]), fields.Constant([2.0], dim=2)]
    moved = fields.local_translation(parts, [[3.0, 0.0], [0.0, 0.0]])
    assert float(moved([3.0, 0.0])) == pytest.approx(3.0)
    waves = PlaneWaves([[1.0]], torch.ones(1, 1, dtype=torch.complex128))
    assert float(waves([0.5])) == pytest.approx(-1.0)
    assert Interpolated(
        torch.rand(1, 8, 8, generator=torch.Generator().manual_seed(0)).double(), 0.5
    )([0.1, 0.2]).shape == (1,)
