# %% [markdown]
# # Weight sharing, computed
#
# **Question.** Which layers commute with translations, if nothing is assumed of them? And what does a stride change?
#
# **Prediction.** A linear map L between feature maps on a periodic grid is a matrix; "P L = L P for every translation
# P" is a linear system for its entries. Its solutions are the convolutions, N^d·c_in·c_out of them, one for each entry
# of a kernel. A bias that commutes is constant, a nonlinearity or a pooling window that commutes the same everywhere.
# If only translations by multiples of s have to commute, there are s^d times as many maps: each coset of the output
# has a kernel of its own. A layer with stride s and few channels commutes with these and with no others, whatever
# they were to do to its output: a translation permutes the polyphase components, and the stride keeps just one.

# %%
import numpy as np
import torch
from torch import nn

from discretize import Grid, Samples, Stride
from equivariance import (
    biases,
    commutation,
    convolution_kernel,
    coset_kernels,
    intertwiners,
    is_convolution,
    parameter_counts,
    polyphase,
    polyphase_action,
    shared_nonlinearity,
    shared_window,
)
from equivariance.subgroups import subgroup
from fields import Box
from layers import Conv, MaxPool, Pointwise

draw = torch.Generator().manual_seed(0)

# %% [markdown]
# **Run.** All linear maps from 2 to 3 channels on 16×16 points that commute with all translations: a matrix has
# 393,216 entries, a dense basis would have 4.8 GB.

# %%
shape = (16, 16)
space = intertwiners(shape, c_in=2, c_out=3)
convolutions = sum(is_convolution(matrix, shape) for matrix in space)
print(f"{space}, of which {convolutions} basis elements are convolutions")

random = torch.randn(space.matrix_shape, generator=draw, dtype=torch.float64).numpy()
commuting = space.project(random)
f = torch.randn(2, *shape, generator=draw, dtype=torch.float64)
layer = Conv.from_array(convolution_kernel(commuting, shape), spacing=1.0)
with torch.no_grad():
    by_layer = layer(Samples(f, Grid(shape, 1.0))).values.numpy().ravel()
by_matrix = commuting @ f.numpy().ravel()
difference = np.abs(by_layer - by_matrix).max() / np.abs(by_matrix).max()
print(
    f"a random matrix, {100 * space.residue(random):.1f} % of which don't commute; projected, it is"
)
print(f"  the layer Conv.from_array(convolution_kernel(matrix)), to {difference:.1e}")
print(f"biases that commute: {biases(shape, channels=3).dimension}, of {3 * 16 * 16}")

# %% [markdown]
# A nonlinearity and a window that depend on the place, and their shared parts.

# %%
grid = Grid((8, 8), 1.0)
gain = 1 + 0.5 * torch.rand(8, 8, generator=draw, dtype=torch.float64)
wide = torch.rand(8, 8, generator=draw) < 0.5


def gained(f: Samples) -> Samples:
    return Samples(gain * torch.relu(f.values), f.grid)


def parted(f: Samples) -> Samples:
    narrow, broad = MaxPool(Box(1.0))(f), MaxPool(Box(3.0))(f)
    return Samples(torch.where(wide, broad.values, narrow.values), f.grid)


values = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None]
shared = {
    "ReLU": shared_nonlinearity(Pointwise(torch.relu), grid, values),
    "ReLU times a(x)": shared_nonlinearity(gained, grid, values),
    "max over one window": shared_window(MaxPool(Box(3.0)), grid),
    "max over two windows": shared_window(parted, grid),
}
for name, found in shared.items():
    print(f"{name:>20}: not shared {found.residue:.1e}, not commuting {found.commutator:.1e}")

# %% [markdown]
# Strides: the maps on 4×4 points that commute with the multiples of 2, and the translations that a strided layer
# commutes with.

# %%
subspace = intertwiners((4, 4), 2, 1, stride=2)
cosets = np.array([abs(coset_kernels(m, (4, 4), stride=2)).sum((2, 3, 4, 5)) > 0 for m in subspace])
ratio = subspace.dimension // intertwiners((4, 4), 2, 1).dimension
print(f"commuting with multiples of 2: {subspace.dimension} maps, {ratio} times as many;")
print(
    f"  on each coset of the output: {cosets.sum(0).ravel().tolist()}, on two at once: {(cosets.sum((1, 2)) > 1).sum()}"
)

kernel = torch.randn(3, 3, 2, 2, generator=draw, dtype=torch.float64)
strided = nn.Sequential(Conv.from_array(kernel, spacing=1.0), Stride(2))
residues = commutation(strided, Grid((8, 8), 1.0), channels=2)
holds = residues.any_action.values < 1e-12
group = subgroup(residues.t.values, holds)
least = float(residues.any_action.values[~holds].min())
print(f"the strided layer commutes with {group}, to {float(residues.moved.max()):.1e};")
print(f"  with any other translation every linear action on its output leaves at least {least:.2f}")

g = Samples(torch.randn(1, 8, 8, generator=draw, dtype=torch.float64), Grid((8, 8), 1.0))
t = (3, 2)
before, after = polyphase(g, 2), polyphase(Samples(g.values.roll(t, (-2, -1)), g.grid), 2)
exact = True
for phase, (source, rolls) in polyphase_action(2, t).items():
    exact &= torch.equal(after[phase].values, before[source].values.roll(rolls, (-2, -1)))
    print(f"a translation by {t}: component {source} becomes {phase}, rolled by {rolls}")

# %% [markdown]
# What sharing saves, between 3 and 16 channels on 32×32 points.

# %%
counts = parameter_counts((32, 32), c_in=3, c_out=16, kernel=3)
print(counts.to_dataframe().to_string())

# %% [markdown]
# **Verdict.**

# %%
assert space.dimension == convolutions == 16 * 16 * 2 * 3
assert difference < 1e-12
assert biases(shape, channels=3).dimension == 3
assert max(shared["ReLU"].residue, shared["max over one window"].residue) < 1e-13
assert max(shared["ReLU"].commutator, shared["max over one window"].commutator) == 0
for name in ("ReLU times a(x)", "max over two windows"):
    assert min(shared[name].residue, shared[name].commutator) > 0.05
assert (cosets.sum((1, 2)) == 1).all()
assert (cosets.sum(0) == 4 * 4 * 2).all()
assert ratio == 4
assert group.name == "2Z × 2Z"
assert least > 0.1
assert exact
assert counts.parameters.values.tolist() == [50_348_032, 458_752, 448]
print("To commute with translations is to share weights; a stride keeps the multiples of itself.")
