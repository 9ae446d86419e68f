# %% [markdown]
# # What the accuracy of a result is worth
#
# **Question.** `sample` puts the integrals of a continuous network on finer and finer lattices, until it is within a
# tolerance, and reports the accuracy reached. Is the report true? And what happens when the tolerance is out of reach?
#
# **Prediction.** The true error, against a closed form or a far finer lattice, is no more than about three times what
# is reported. Closed forms report 0. Where memory doesn't suffice, one gets an exception that says how far it came,
# never a number that looks fine; and a warning where the grid is too coarse for the field's band.

# %%
import math
import warnings

import torch
from torch import nn

from discretize import Aliasing, AliasingWarning, Grid, NotResolved, aliasing, sample
from fields import (
    Ball,
    BumpKernel,
    GaussianKernel,
    LatticeTooLarge,
    PlaneWaves,
    random_bandlimited,
)
from layers import AvgPool, Conv, Pointwise

SIZE = 16
F = random_bandlimited(dim=2, channels=1, bandlimit=3 / SIZE, period=float(SIZE), seed=0)
grid = Grid((SIZE, SIZE), 1.0)

# %% [markdown]
# **Run.**

# %%
disc, radius = AvgPool(Ball(1.5)), 1.5
deep = nn.Sequential(
    Conv(GaussianKernel(0.7, [[1.0], [-1.0]])),
    Pointwise(torch.tanh),
    Conv(GaussianKernel(0.5, [[1.0, 2.0]])),
)
# A disc multiplies a wave of frequency f by 2 J₁(z)/z, z = 2πr|f|; the deep network is computed on a finer lattice.
z = 2 * math.pi * radius * F.frequencies.norm(dim=-1, keepdim=True)
gain = torch.where(z > 0, 2 * torch.special.bessel_j1(z) / z.clamp(min=1e-9), 1.0)
with torch.no_grad():
    references = {
        "mean over a disc": sample(PlaneWaves(F.frequencies, F.amplitudes * gain), grid).values,
        "Gaussian, tanh, Gaussian": sample(deep(F), grid, refinement=24).values,
    }
    ratios = {}
    for (name, reference), network in zip(references.items(), (disc, deep), strict=True):
        for rtol in (1e-2, 1e-3):
            result = sample(network(F), grid, rtol=rtol)
            true = float((result.values - reference).norm() / reference.norm())
            ratios[name, rtol] = true, result.accuracy
            print(f"{name:>24}, rtol {rtol:g}: reported {result.accuracy:.0e}, true {true:.0e}")
    closed = sample(Conv(BumpKernel(1.5, [[1.0]]))(F), grid)
print(f"waves and a bump, in closed form: reported {closed.accuracy}")

# %% [markdown]
# Out of reach: a ReLU's kinks to ten digits, in 8 MB; and its integral to twelve, in 1 MB.

# %%
messages = []
kinked = Conv(GaussianKernel(0.7, [[1.0]]))(F.map(torch.relu))
for attempt in (
    lambda: sample(kinked, grid, rtol=1e-10, memory=1 << 23),
    lambda: F.map(torch.relu).integrate(rtol=1e-12, memory=1 << 20),
):
    try:
        attempt()
    except LatticeTooLarge as error:
        messages.append(error)
        print(f"{type(error).__name__}: {error}")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    sample(F, Grid((4, 4), 4.0))
told = aliasing(F, Grid((4, 4), 4.0))
assert isinstance(told, Aliasing)
print(f"{said[0].category.__name__}: {said[0].message}")

# %% [markdown]
# **Verdict.**

# %%
for case, (true, reported) in ratios.items():
    assert reported <= case[1], case
    assert true <= 3 * reported + 1e-12, case
assert closed.accuracy == 0
assert all(isinstance(e, NotResolved) for e in messages)
assert issubclass(said[0].category, AliasingWarning)
print("A number comes with its accuracy, or not at all.")
