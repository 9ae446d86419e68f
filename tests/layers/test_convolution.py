"""Conv against torch's correlations, against its own formula, and as something that learns."""

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from discretize import Grid, Samples
from fields import (
    Atoms,
    BoxKernel,
    Constant,
    GaussianKernel,
    Gaussians,
    Interpolated,
    Kernel,
    PlaneWaves,
)
from layers import Conv
from tests.compare import assert_close, order, relative_error

DIMS = (1, 2, 3)
DTYPES = (torch.float32, torch.float64)
SHAPE = (8, 6, 5)
SPACING = (0.5, 0.25, 1.5)
TORCH_MODES = {
    "periodic": "circular",
    "zero": "constant",
    "reflect": "reflect",
    "nearest": "replicate",
}

every_dim = pytest.mark.parametrize("dim", DIMS)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def gaussians(dim: int, channels: int, seed: int = 5) -> Gaussians:
    return Gaussians(noise(3, dim, seed=seed), noise(3, channels), [1.0, 0.8, 1.2])


def correlation(values: Tensor, weights: Tensor, **options: int) -> Tensor:
    """torch's conv of values (batch, c, X1..Xd) and weights (out, in, S1..Sd)."""
    conv = (nn.functional.conv1d, nn.functional.conv2d, nn.functional.conv3d)[values.ndim - 3]
    return conv(values, weights, **options)


def as_torch(array: Tensor) -> Tensor:
    """Weights (out, in, S1..Sd) with which torch correlates, of an array (S1..Sd, out, in)."""
    dim = array.ndim - 2
    return array.flip(tuple(range(dim))).movedim((-2, -1), (0, 1))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("boundary", TORCH_MODES)
@pytest.mark.parametrize("sides", [(3, 3, 3), (1, 5, 3), (2, 4, 2)], ids=str)
@every_dim
def test_from_array_is_torch_with_flipped_weights(
    dim: int, sides: tuple[int, ...], boundary: str, dtype: torch.dtype
) -> None:
    """Σ_j w_j f[x − j] = torch's Σ_j w̃_j f[x + j], w̃ = w flipped; even sides at half spacings."""
    sides, spacing = sides[:dim], SPACING[:dim]
    array, values = noise(*sides, 4, 3, dtype=dtype), noise(2, 3, *SHAPE[:dim], dtype=dtype)
    grid = Grid(SHAPE[:dim], spacing, 0.25, boundary)
    result = Conv.from_array(array, spacing)(Samples(values, grid))
    pads = [p for s in reversed(sides) for p in ((s - 1) // 2, s // 2)]
    padded = nn.functional.pad(values, pads, mode=TORCH_MODES[boundary])
    assert_close(result.values, correlation(padded, as_torch(array)), 100)
    middle = [0.25 + h * (s % 2 == 0) / 2 for s, h in zip(sides, spacing, strict=True)]
    assert result.grid.origin.tolist() == middle
    assert (result.grid.shape, result.grid.boundary) == (grid.shape, boundary)


@pytest.mark.parametrize("sides", [(3, 2, 1), (2, 3, 4)], ids=str)
@every_dim
def test_without_boundary_it_is_torch_without_padding(dim: int, sides: tuple[int, ...]) -> None:
    """The map shrinks to the S − 1 fewer points whose taps are known."""
    sides, spacing = sides[:dim], SPACING[:dim]
    array, values = noise(*sides, 4, 3), noise(3, *SHAPE[:dim])
    result = Conv.from_array(array, spacing)(Samples(values, Grid(SHAPE[:dim], spacing, 0, "none")))
    assert_close(result.values, correlation(values[None], as_torch(array))[0], 100)
    assert result.grid.origin.tolist() == [
        h * (s - 1) / 2 for s, h in zip(sides, spacing, strict=True)
    ]


@pytest.mark.parametrize("dilation", [2, 3])
@every_dim
def test_taps_spacings_apart_are_dilation(dim: int, dilation: int) -> None:
    """An array on a multiple of the grid's spacing is torch's dilated correlation."""
    spacing = SPACING[:dim]
    array, values = noise(*(3,) * dim, 2, 3), noise(1, 3, *SHAPE[:dim])
    layer = Conv.from_array(array, [dilation * h for h in spacing])
    padded = nn.functional.pad(values, (dilation,) * 2 * dim, mode="circular")
    expected = correlation(padded, as_torch(array), dilation=dilation)
    assert_close(layer(Samples(values, Grid(SHAPE[:dim], spacing))).values, expected, 100)


@every_dim
def test_wider_than_the_period_folds(dim: int) -> None:
    """An array of ones over n periods sums every sample n times."""
    grid = Grid((4,) * dim, 1.0)
    values = noise(1, *grid.shape)
    result = Conv.from_array(torch.ones(*(12,) * dim, 1, 1).double(), 1.0)(
        Samples(values, grid)
    ).values
    assert_close(result, (3**dim * values.sum()).expand(1, *grid.shape), 1000)


@every_dim
def test_on_a_field_it_is_a_sum_over_atoms(dim: int) -> None:
    """(K*F)(x) = Σ_i w_i F(x − (i − (S−1)/2)h), i over all taps, at any point x."""
    array, x = noise(*(3, 2, 2)[:dim], 4, 2), noise(7, dim, seed=1)
    field = gaussians(dim, 2)
    expected = torch.zeros(7, 4, dtype=torch.float64)
    for i in torch.cartesian_prod(*(torch.arange(s) for s in array.shape[:dim])).reshape(-1, dim):
        middle = torch.tensor([(s - 1) / 2 for s in array.shape[:dim]], dtype=torch.float64)
        offset = (i - middle) * torch.tensor(SPACING[:dim])
        expected += field(x - offset) @ array[tuple(i)].mT
    assert_close(Conv.from_array(array, SPACING[:dim])(field)(x), expected, 100)


def test_delta_moves_and_mixes() -> None:
    """w δ_o * F = w (o▷F)."""
    field, weights, x = gaussians(2, 2), noise(1, 3, 2), noise(5, 2, seed=1)
    offset = torch.tensor([[0.7, -1.1]], dtype=torch.float64)
    layer = Conv(Atoms(offset, weights))
    assert_close(layer(field)(x), field.translate(offset[0]).mix(weights[0])(x), 100)


@every_dim
def test_gaussian_convolution_of_gaussians(dim: int) -> None:
    """Widths add in squares, v² = w² + s², and peaks fall by ∏ s/v: to 1e-8 with the usual nodes."""
    width, size = torch.tensor([0.5, 0.3, 0.8][:dim]).double(), torch.tensor([0.7, 1.0, 0.4])
    centers, peaks, matrix = noise(3, dim), noise(3, 2), noise(4, 2, seed=1)
    layer = Conv(GaussianKernel(width, matrix), exact=False)
    x = noise(5, dim, seed=2)
    wide = (size[:, None].double() ** 2 + width**2).sqrt()
    falls = (size[:, None] / wide).prod(-1, keepdim=True)
    expected = Gaussians(centers, falls * peaks, wide).mix(matrix)(x)
    assert relative_error(layer(Gaussians(centers, peaks, size.double()))(x), expected) <= 1e-8


def test_nodes_are_quadrature_nodes_per_radius() -> None:
    """The error on a wave falls in the second order of `nodes` for a kernel with a jump."""
    wave, x = PlaneWaves([[0.3]], [[1.0 + 0.5j]]), noise(4, 1)
    kernel = BoxKernel(1.4, [[1.0]])
    expected = wave(x) * math.sin(math.pi * 0.3 * 1.4) / (math.pi * 0.3 * 1.4)
    counts = [2, 4, 8, 16, 32]
    errors = [relative_error(Conv(kernel, nodes=n, exact=False)(wave)(x), expected) for n in counts]
    assert 1.7 <= order(errors, counts) <= 2.3


def test_samples_take_the_nodes_of_their_grid() -> None:
    """A density on samples of spacing h: Σ_j h K(jh) f[i − j], whatever `nodes` says."""
    values = noise(1, 32)
    grid = Grid(32, 0.25)
    kernel = Kernel(lambda y: torch.cos(y)[..., None], 1, 1, radius=1.125)
    y = 0.25 * torch.arange(-4, 5, dtype=torch.float64)
    expected = Conv.from_array(0.25 * torch.cos(y)[:, None, None], 0.25)(Samples(values, grid))
    for nodes in (1, 64):
        result = Conv(kernel, nodes=nodes)(Samples(values, grid))
        assert_close(result.values, expected.values, 100)


# --- parameters ---------------------------------------------------------------------------------


def density(seed: int = 0) -> nn.Module:
    """A smooth density R² → R^{1 × 2}, learnt."""
    layer = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2), nn.Unflatten(-1, (1, 2)))
    layer.double()
    layer.load_state_dict({k: noise(*v.shape, seed=seed) for k, v in layer.state_dict().items()})
    return layer


KERNELS = {
    "weights": lambda: Atoms.from_array(noise(3, 3, 1, 2), 0.5),
    "matrix": lambda: GaussianKernel(0.4, noise(1, 2)),
    "density.0.weight": lambda: Kernel(density(), 1, 2, radius=1.0),
}


@pytest.mark.parametrize("name", KERNELS)
def test_parameters_carry_their_kernels_names(name: str) -> None:
    layer = Conv(KERNELS[name]())
    names = {"density.0.weight": ["density.0.bias", "density.2.weight", "density.2.bias"]}
    assert sorted(layer.state_dict()) == sorted([name, *names.get(name, [])])
    assert all(isinstance(p, nn.Parameter) for p in layer.parameters())


def test_a_tensor_is_copied_a_parameter_is_shared() -> None:
    """Weights shared between two layers stay one parameter; a plain tensor isn't changed by learning."""
    tensor, parameter = noise(2, 1, 1), nn.Parameter(noise(2, 1, 1))
    own = Conv(Atoms([[0.0], [1.0]], tensor))
    first, second = (Conv(Atoms([[0.0], [1.0]], parameter)) for _ in range(2))
    with torch.no_grad():
        own.weights.zero_()
        first.weights.fill_(3)
    assert tensor.abs().min() > 0
    assert first.weights is second.weights is parameter
    assert second(Constant([1.0], 1))([0.0]).item() == 6.0


def test_a_density_that_is_no_module_has_no_parameters() -> None:
    layer = Conv(Kernel(lambda y: torch.ones(*y.shape[:-1], 1, 1, dtype=y.dtype), 1, 1, 0.5))
    assert not list(layer.parameters())
    assert_close(layer(Constant([2.0], 2))([0.0, 0.0]), torch.tensor([2.0]).double(), 100)
    single = Constant(torch.tensor([2.0]), 2)
    assert layer(single)([0.0, 0.0]).dtype == torch.float32


@pytest.mark.parametrize("name", KERNELS)
def test_copies_are_independent(name: str) -> None:
    layer, f = Conv(KERNELS[name]()), Samples(noise(2, 6, 6), Grid((6, 6), 0.5))
    other = copy.deepcopy(layer)
    assert torch.equal(layer(f).values, other(f).values)
    with torch.no_grad():
        next(other.parameters()).mul_(2)
    assert not torch.equal(layer(f).values, other(f).values)


@every_dim
def test_gradient_in_weights_is_torchs(dim: int) -> None:
    """∂⟨g, K*f⟩/∂K on samples, through torch's own convolution."""
    array = noise(*(3,) * dim, 4, 3)
    values, g = noise(2, 3, *SHAPE[:dim]), noise(2, 4, *SHAPE[:dim], seed=1)
    layer = Conv.from_array(array, 1.0)
    (layer(Samples(values, Grid(SHAPE[:dim], 1.0))).values * g).sum().backward()
    theirs = array.clone().requires_grad_()
    padded = nn.functional.pad(values, (1,) * 2 * dim, mode="circular")
    (correlation(padded, as_torch(theirs)) * g).sum().backward()
    assert_close(layer.weights.grad, theirs.grad.reshape(layer.weights.shape), 100)


@every_dim
def test_gradient_in_weights_on_a_field(dim: int) -> None:
    """∂⟨g, (K*F)(x)⟩/∂w_j = Σ_x g(x) F(x − o_j)ᵀ."""
    offsets, x, g = noise(4, dim), noise(6, dim, seed=1), noise(6, 3, seed=2)
    field, layer = gaussians(dim, 2), Conv(Atoms(offsets, noise(4, 3, 2)))
    (layer(field)(x) * g).sum().backward()
    expected = torch.stack([g.mT @ field(x - o) for o in offsets])
    assert_close(layer.weights.grad, expected, 100)


@pytest.mark.parametrize("carrier", ["Field", "Samples"])
@pytest.mark.parametrize("name", KERNELS)
def test_training_finds_the_kernel_that_made_the_data(name: str, carrier: str) -> None:
    """Least squares on K*F: the loss falls to 1e-6 of its start, or by 5 in 30 steps for a network."""
    values, grid = noise(2, 8, 8), Grid((8, 8), 0.5)
    f = Samples(values, grid) if carrier == "Samples" else Interpolated(values, 0.5)
    x = grid.points()

    def output(layer: Conv) -> Tensor:
        result = layer(f)
        return result.values.movedim(0, -1) if isinstance(result, Samples) else result(x)

    with torch.no_grad():
        goal = output(Conv(KERNELS[name](), nodes=2))
    layer = Conv(KERNELS[name](), nodes=2)
    with torch.no_grad():
        for p in layer.parameters():
            p.mul_(0.5)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=30, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = ((output(layer) - goal) ** 2).mean()
        value.backward()
        return value

    first = float(optimizer.step(loss).detach())
    last = float(loss().detach())
    assert last <= first * (0.2 if name.startswith("density") else 1e-6)


# --- bad input ----------------------------------------------------------------------------------

FIELD = Gaussians([[0.0, 0.0]], [[1.0, 2.0]], [1.0])
SAMPLES = Samples(torch.ones(2, 4, 4).double(), Grid((4, 4), 1.0))
LAYER = Conv.from_array(torch.ones(3, 3, 1, 2).double(), 1.0)

BAD = {
    "no kernel": (lambda: Conv(torch.ones(3, 3, 1, 2)), TypeError, "Conv.from_array"),
    "nodes": (lambda: Conv(GaussianKernel(1.0, [[1.0]]), nodes=0), ValueError, "nodes must be"),
    "array too small": (lambda: Conv.from_array(torch.ones(3, 2), 1.0), ValueError, "S1, …, Sd"),
    "spacing": (lambda: Conv.from_array(torch.ones(3, 1, 1), -1.0), ValueError, "positive"),
    "not finite": (
        lambda: Conv.from_array(torch.full((3, 1, 1), math.nan), 1.0),
        ValueError,
        "kernel array must be finite",
    ),
    "no feature map": (
        lambda: LAYER(torch.ones(2, 4, 4)),
        TypeError,
        "Field or Samples, got Tensor",
    ),
}


@pytest.mark.parametrize(("build", "kind", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input(build, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        build()


@pytest.mark.parametrize("f", [FIELD, SAMPLES], ids=["Field", "Samples"])
def test_maps_that_do_not_fit(f) -> None:
    with pytest.raises(ValueError, match="takes 3 channels, the feature map has 2"):
        Conv.from_array(torch.ones(3, 3, 1, 3).double(), 1.0)(f)
    with pytest.raises(ValueError, match=r"(1|2) dimensions?, the feature map has 2"):
        Conv.from_array(torch.ones(3, 1, 2).double(), 1.0)(f)


def test_offsets_that_no_grid_has() -> None:
    with pytest.raises(ValueError, match="must agree modulo the spacing"):
        Conv(Atoms([[0.0, 0.0], [0.3, 0.0]], torch.ones(2, 1, 2).double()))(SAMPLES)
