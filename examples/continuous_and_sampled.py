# %% [markdown]
# # One network, two carriers
#
# **Question.** A layer is written once and applied to a function and to its samples. Do the two agree?
#
# **Prediction.** A convolution with atoms on the grid's own lattice commutes with sampling exactly, as does a
# pointwise nonlinearity. A convolution with a density is an integral; its discretization is a quadrature with one node
# per sample, and comes closer to it as the grid gets finer. A stride, which only the samples know of, keeps every
# second sample of the same function; what is lost is the way back.

# %%
import torch
from torch import nn

from discretize import Grid, Stride, sample
from fields import GaussianKernel, random_bandlimited
from layers import Conv, Pointwise

F = random_bandlimited(dim=2, channels=1, bandlimit=0.2, period=32.0, seed=0)
draw = torch.Generator().manual_seed(1)
weights = torch.randn(3, 3, 4, 1, generator=draw, dtype=torch.float64)
matrix = torch.randn(4, 1, generator=draw, dtype=torch.float64)


def difference(net: nn.Module, grid: Grid, **how: float) -> float:
    """Largest difference between the discretized network and the sampled continuous one."""
    with torch.no_grad():
        discrete = net(sample(F, grid))
        continuous = sample(net(F), discrete.grid, **how)
    return float((discrete.values - continuous.values).abs().max() / continuous.values.abs().max())


# %% [markdown]
# **Run.** First the atoms, on the lattice of the grid; then the density, on finer and finer grids.

# %%
atoms = nn.Sequential(Conv.from_array(weights, spacing=1.0), Pointwise(torch.relu), Stride(2))
print(f"atoms, ReLU, stride 2:        {difference(atoms, Grid((32, 32), 1.0)):.1e}")

density = nn.Sequential(Conv(GaussianKernel(0.8, matrix)), Pointwise(torch.relu))
errors = {}
for n in (16, 32, 64):
    errors[n] = difference(density, Grid((n, n), 32 / n), rtol=1e-12)
    print(f"Gaussian density, {n} points a side: {errors[n]:.1e}")

# %% [markdown]
# **Verdict.**

# %%
assert difference(atoms, Grid((32, 32), 1.0)) < 1e-13
assert errors[16] > 1e-2 > errors[32] > 1e-8 > errors[64]
print("Atoms commute with sampling; a density's discretization converges to it.")
