# %% [markdown]
# # Tutorial: convolutions and translation equivariance
#
# This page goes through Maurice Weiler's introduction to convolutional networks and translation equivariance
# ([*An introduction to equivariant & coordinate independent CNNs*](https://maurice-weiler.gitlab.io/blog_post/cnn-book_2_conventional_cnns/),
# part 2) in its order. Every statement stands beside code that shows it. The page is a script, `docs/tutorial.py`;
# building the documentation runs it, and each `assert` has to hold.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from discretize import ComovingSubsampling, EquivariantSubsampling, Grid, Samples, Stride, sample
from equivariance import (
    biases,
    convolution_kernel,
    equivariance_error,
    intertwiners,
    is_convolution,
    parameter_counts,
)
from fields import (
    Ball,
    Box,
    BumpKernel,
    Bumps,
    Constant,
    GaussianKernel,
    Gaussians,
    PeriodicKernel,
    PlaneWaves,
    local_translation,
    random_bandlimited,
)
from layers import (
    AvgPool,
    Bias,
    BiasField,
    Conv,
    GlobalPool,
    IntegralOperator,
    MaxPool,
    Pointwise,
    PointwiseField,
    PoolField,
    shared,
)

torch.set_grad_enabled(False)
draw = torch.Generator().manual_seed(0)
ROUNDING = 1e-12


# %% [markdown]
# ## Fully connected, locally connected, convolutional
#
# Two things set a convolutional layer apart from a fully connected one: an output looks at a small neighbourhood only,
# and all outputs use the same weights. Both save parameters. Between 3 and 16 channels on 32×32 pixels, with a
# neighbourhood of 3×3:

# %%
counts = parameter_counts((32, 32), c_in=3, c_out=16, kernel=3)
counts.to_dataframe()

# %% [markdown]
# ## Shared weights make a layer equivariant
#
# A convolution slides one kernel over the input. If the input moves, every pattern meets the same weights at its new
# place, and gives the same response there: the output moves along.

# %%
image = torch.randn(3, 32, 32, generator=draw, dtype=torch.float64)
weights = torch.randn(3, 3, 16, 3, generator=draw, dtype=torch.float64)  # S1, S2, out, in
grid, conv = Grid((32, 32), spacing=1.0), Conv.from_array(weights, spacing=1.0)

moved_first = conv(Samples(image.roll((5, -2), (-2, -1)), grid)).values
moved_last = conv(Samples(image, grid)).values.roll((5, -2), (-2, -1))
assert torch.allclose(moved_first, moved_last, rtol=0, atol=ROUNDING)

# %% [markdown]
# The other direction, that equivariance leaves no choice but to share weights, is what the rest of the page is about.
#
# ## Feature maps
#
# On a computer a feature map is an array: here `(c, X1, …, Xd)` inside, and `(x1, …, xd, channel)` with labels,
# which is the order of the text.

# %%
Samples(image, grid).to_xarray().isel(x1=slice(2), x2=slice(2))

# %% [markdown]
# In the continuum it is a function $F: \mathbb R^d \to \mathbb R^c$, a feature vector at every point. A `Field` is such
# a function, and can be asked anywhere:

# %%
F = random_bandlimited(dim=2, channels=2, bandlimit=0.2, period=32.0, seed=0)
F([[0.0, 0.0], [3.7, 2**0.5]])

# %% [markdown]
# Functions can be added and scaled, point by point: feature maps form a vector space.

# %%
G = Gaussians([[10.0, 12.0]], [[1.0, -1.0]], [3.0]).periodize(32.0)
x = 32 * torch.rand(20, 2, generator=draw, dtype=torch.float64)
assert torch.allclose((2 * F - 0.5 * G)(x), 2 * F(x) - 0.5 * G(x), rtol=0, atol=ROUNDING)

# %% [markdown]
# ## Translations act on feature maps
#
# $$ [t \rhd F](x) = F(x - t) $$
#
# The value at $x$ is taken from $x - t$. This is an action of the group $(\mathbb R^d, +)$, for *real* $t$: zero does
# nothing, two translations one after the other are their sum, and each acts linearly. With this action the feature maps
# are called the regular representation.

# %%
s, t = torch.tensor([0.3, -1.1]).double(), torch.tensor([2**0.5, 4.0]).double()
assert torch.allclose(F.translate(t)(x), F(x - t), rtol=0, atol=ROUNDING)
assert torch.allclose(F.translate(s).translate(t)(x), F.translate(s + t)(x), rtol=0, atol=ROUNDING)
assert torch.equal(F.translate([0.0, 0.0])(x), F(x))
both = (F + 3 * G).translate(t)(x)
assert torch.allclose(both, F.translate(t)(x) + 3 * G.translate(t)(x), rtol=0, atol=ROUNDING)

# %%
figure, axes = plt.subplots(1, 2, figsize=(7, 3.2), sharey=True, layout="constrained")
fine = Grid((128, 128), 0.25)
for axis, field, title in zip(axes, (G, G.translate([8.5, 3.2])), ("F", "t▷F"), strict=True):
    axis.imshow(sample(field, fine).values[0].T.numpy(), origin="lower", extent=(0, 32, 0, 32))
    axis.set(title=title, xlabel="x₁")
axes[0].set_ylabel("x₂")
plt.show()

# %% [markdown]
# Samples move, too: the values stay, and the origin of their grid moves. That is exact for every real translation, and
# needs no interpolation. (A different question is what a camera sees, whose grid stays while the world moves. It comes
# up below, with strides.)

# %%
f = sample(F, grid)
assert torch.equal(f.translate(t).values, f.values)
assert torch.allclose(sample(F.translate(t), grid.translate(t)).values, f.values, atol=ROUNDING)

# %% [markdown]
# ## Layers are equivariant maps
#
# A layer $\mathcal L$ takes feature maps to feature maps, and commutes with all translations:
#
# $$ \mathcal L(t \rhd F) = t \rhd \mathcal L(F) $$
#
# `equivariance_error` goes both ways round this square, and returns the relative difference. It never uses the law it
# tests. For functions give it points:

# %%
net = nn.Sequential(
    Conv(GaussianKernel(1.0, torch.randn(4, 2, generator=draw, dtype=torch.float64))),
    Bias(torch.randn(4, generator=draw, dtype=torch.float64)),
    Pointwise(torch.relu),
    MaxPool(Ball(1.5), nodes=4),
)
error = float(equivariance_error(net, F, t, points=x))
print(f"{error:.0e}")
assert error < ROUNDING

# %% [markdown]
# ## Linear layers: convolutions, necessarily
#
# **Equivariant linear maps between feature maps are convolutions.** On a periodic grid this can be computed, without
# taking it for granted: "$P L = L P$ for all translations $P$" is a linear system for the entries of $L$. Its solutions
# have one free parameter for every entry of a kernel, and all of them are convolutions.

# %%
space = intertwiners((8, 8), c_in=2, c_out=3)
print(f"{space.dimension} dimensions; a kernel has 8·8·3·2 = {8 * 8 * 3 * 2} entries")
assert space.dimension == 8 * 8 * 3 * 2
assert all(is_convolution(L, (8, 8)) for L in space)

# %% [markdown]
# Any matrix, projected to the commuting ones, is a layer `Conv` with some kernel $K$ with values in
# $\mathbb R^{c_\mathrm{out} \times c_\mathrm{in}}$. As an array it has shape $(S_1, \ldots, S_d, c_\mathrm{out},
# c_\mathrm{in})$.

# %%
L = space.project(np.random.default_rng(0).normal(size=space.matrix_shape))
kernel = convolution_kernel(L, (8, 8))
h = torch.randn(2, 8, 8, generator=draw, dtype=torch.float64)
as_layer = Conv.from_array(kernel, spacing=1.0)(Samples(h, Grid((8, 8), 1.0))).values
assert np.allclose(as_layer.ravel(), L @ h.numpy().ravel(), rtol=0, atol=ROUNDING)
print(kernel.shape)

# %% [markdown]
# In the continuum the general linear map is $\int \kappa(x, y) F(y)\,dy$. It commutes with translations only if
# $\kappa(x, y) = K(x - y)$; averaged over all translations, any $\kappa$ becomes such a convolution.


# %%
def kappa(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Depends on x − y, and on x too."""
    return torch.cos(np.pi / 2 * (x - y))[..., None] + torch.sin(np.pi / 2 * x)[..., None]


line = random_bandlimited(1, 1, bandlimit=1.0, period=4.0, seed=0) + 1.0
operator = IntegralOperator(kappa, period=4.0)
y = torch.linspace(0, 4, 17, dtype=torch.float64)[:, None]
before = float(equivariance_error(operator, line, [0.7], points=y))
after = float(equivariance_error(shared(operator), line, [0.7], points=y))
print(
    f"∫κ(x, y)F(y)dy: {before:.2f};  its average, a {type(shared(operator)).__name__}: {after:.0e}"
)
assert before > 0.1
assert after < ROUNDING

# %% [markdown]
# **Locality is a choice.** A kernel as wide as the period is just as equivariant as one of 3×3.

# %%
everywhere = Conv(
    PeriodicKernel(torch.randn(5, 5, 1, 2, generator=draw, dtype=torch.float64), 32.0)
)
local = Conv(BumpKernel(2.0, [[1.0, 0.5]]))
for layer in (everywhere, local):
    assert float(equivariance_error(layer, F, t, points=x)) < ROUNDING

# %% [markdown]
# ## Biases: constant, necessarily
#
# A bias may differ from place to place, $F(x) + \mathfrak b(x)$. If the sum commutes with translations,
# $\mathfrak b$ is constant. On a grid: the commuting biases have one dimension per channel, not one per pixel and
# channel.

# %%
assert biases((8, 8), channels=3).dimension == 3
ramp = PlaneWaves([[1 / 32, 0.0]], [[1.0, 1.0]])
errors = {
    "𝔟(x)": float(equivariance_error(BiasField(ramp), F, t, points=x)),
    "b": float(equivariance_error(Bias([0.3, -0.2]), F, t, points=x)),
}
print({k: f"{e:.0e}" for k, e in errors.items()})
assert errors["b"] < ROUNDING < errors["𝔟(x)"]

# %% [markdown]
# ## Nonlinearities: the same at each point
#
# ReLU on the left and tanh on the right is no equivariant layer; one of them everywhere is. What is shared by a
# nonlinearity $\sigma(x, F(x))$ is its average over $x$.


# %%
def sided(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return torch.where(x[..., :1] % 32 < 16, torch.relu(value), torch.tanh(value))


unequal = PointwiseField(sided, period=32.0)
errors = {
    "σ(x, ·)": float(equivariance_error(unequal, F, t, points=x)),
    "σ": float(equivariance_error(Pointwise(torch.relu), F, t, points=x)),
    "mean of σ(x, ·)": float(equivariance_error(shared(unequal), F, t, points=x)),
}
print({k: f"{e:.0e}" for k, e in errors.items()})
assert max(errors["σ"], errors["mean of σ(x, ·)"]) < ROUNDING < errors["σ(x, ·)"]

# %% [markdown]
# ## Pooling: the same window at each point

# %%
windows = PoolField(
    lambda x: Box(1.0 if float(x[0]) % 32 < 16 else 3.0), "max", period=32.0, nodes=2
)
errors = {
    "W(x)": float(equivariance_error(windows, F, t, points=x)),
    "W": float(equivariance_error(MaxPool(Box(3.0), nodes=2), F, t, points=x)),
    "W, mean": float(equivariance_error(AvgPool(Ball(2.0), nodes=2), F, t, points=x)),
}
print({k: f"{e:.0e}" for k, e in errors.items()})
assert max(errors["W"], errors["W, mean"]) < ROUNDING < errors["W(x)"]

# %% [markdown]
# ## Strides
#
# On samples, pooling with stride 1 commutes with whole translations. A stride $s$ keeps every $s$-th sample, and leaves
# the translations by multiples of $s$: a subgroup. Now the field moves and the grid stays, as for a camera; give
# `equivariance_error` the grid.

# %%
steps = torch.arange(0, 4.01, 0.25).double()
along = torch.stack([steps, torch.zeros_like(steps)], -1)
waves = random_bandlimited(dim=2, channels=1, bandlimit=0.45, period=32.0, seed=1)
nets = {
    "stride 1": nn.Identity(),
    "stride 2": Stride(2),
    "Xu et al., 2": EquivariantSubsampling(2),
    "comoving, 2": ComovingSubsampling(2),
}
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
measured = {}
for name, subsampling in nets.items():
    layer = nn.Sequential(Conv.from_array(weights[..., :1], 1.0), subsampling)
    measured[name] = equivariance_error(layer, waves, along, grid)
    axis.semilogy(
        steps.numpy(), measured[name].clamp(min=1e-17).numpy(), "o-", label=name, markersize=3
    )
axis.set(xlabel="translation along x₁, in pixels", ylabel="equivariance error")
axis.legend(loc="center right")
plt.show()

# %% [markdown]
# The subsampling of Xu et al. (2021) predicts the sublattice from the input, so that it moves along: whole translations
# are back. A grid whose origin is a *real* number that moves along brings back the others, too, for inputs below the
# Nyquist frequency.

# %%
is_whole, is_even = steps % 1 == 0, steps % 2 == 0
exact = {name: e < ROUNDING for name, e in measured.items()}
assert exact["stride 1"].all()
assert torch.equal(exact["stride 2"], is_even)
assert torch.equal(exact["Xu et al., 2"], is_whole)
assert exact["comoving, 2"].all()

# %% [markdown]
# ## Invariants
#
# Translations can also do nothing: the trivial representation. Global pooling goes from feature maps there.

# %%
pool = nn.Sequential(net, GlobalPool("max", rtol=1e-2))
invariants = [
    pool(Samples(sample(F.translate(v), grid).values, grid)) for v in ([0, 0], [3.0, 7.0])
]
assert torch.allclose(*invariants, rtol=0, atol=ROUNDING)
GlobalPool("mean")(F.map(torch.square)), GlobalPool("mean")(F.translate(t).map(torch.square))

# %% [markdown]
# ## More than global translations
#
# Parts of an image move on their own, say an object in front of a background. A network with local kernels commutes
# with that, too, wherever its field of view meets one part only. Two bumps, one of which moves by $t$:

# %%
left = Bumps([[8.0, 16.0]], [[1.0]], [3.0])
right = Bumps([[22.0, 16.0]], [[1.0]], [3.0])
view = Conv(BumpKernel(1.5, [[1.0]]))
apart = nn.Sequential(view, Pointwise(torch.tanh))
u = [1.7, 0.6]
scene = local_translation([left, right], [[0.0, 0.0], u])
x = 32 * torch.rand(200, 2, generator=draw, dtype=torch.float64)
expected = local_translation([apart(left), apart(right)], [[0.0, 0.0], u])(x)
difference = (apart(scene)(x) - expected).abs().max() / expected.abs().max()
print(f"fields of view apart: {float(difference):.0e}")
assert float(difference) < ROUNDING

touching = local_translation([left, right], [[0.0, 0.0], [-9.0, 0.0]])
expected = local_translation([apart(left), apart(right)], [[0.0, 0.0], [-9.0, 0.0]])(x)
difference = (apart(touching)(x) - expected).abs().max() / expected.abs().max()
print(f"fields of view that meet both: {float(difference):.0e}")
assert float(difference) > 1e-3

# %% [markdown]
# ## In one line
#
# $$ \text{equivariant layers} \Longleftrightarrow \text{shared weights} $$
#
# from left to right by solving for the maps that commute, from right to left by measuring. What is left over is the
# grid: as functions all these networks commute with every real translation, and where their discretizations don't,
# it is aliasing. How to measure that for a model of your own is [another page](howto/measure_a_model).

# %%
assert float(equivariance_error(net, F + Constant([1.0, 2.0], dim=2), t, points=x[:20])) < ROUNDING
