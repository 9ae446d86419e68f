# %% [markdown]
# # What a grid loses
#
# **Question.** A field is sampled on N points per period and interpolated again. How far is that from commuting with
# translations, and what does a filter in front of the samples change?
#
# **Prediction.** Nothing is lost where the grid tells all modes of the field, N > 2K. Below, the modes above Nyquist
# fold onto slower ones, and the mean square error over *all* real translations is Σ|C|² + ‖fold(C)‖² over these modes
# C: it needs the spectrum, no translations. An ideal low-pass filter before sampling brings it back to zero, at the
# price of the modes themselves; pixel averages, Gaussians and B-splines lie between. A pointwise nonlinearity widens
# the band: twice for a square, without end for a ReLU, which no grid resolves to high accuracy.

# %%
import math

import torch

from discretize import Grid, NotResolved, Prefilter, aliasing, required_grid, sample
from fields import Field, random_bandlimited

PERIOD = 8.0
F = random_bandlimited(dim=2, channels=1, bandlimit=10 / PERIOD, period=PERIOD, seed=0)
print(
    f"{F.bandlimit[0] * PERIOD:.0f} waves per period need {required_grid(F).shape[0]} points a side"
)

# %% [markdown]
# **Run.** The exact defect, and the average over 100 random translations, on coarser and coarser grids.


# %%
def averaged(field: Field, grid: Grid, translations: torch.Tensor) -> float:
    """Root mean square of Φ(t▷F) − t▷Φ(F), Φ = interpolate ∘ sample, relative to Φ(F)."""
    fine = required_grid(field)
    through = sample(field, grid, prefilter="none").interpolate()
    of_moved = sample(field.translate(translations), grid, prefilter="none").interpolate()
    left, right = (
        sample(of_moved, fine).values,
        sample(through.translate(translations), fine).values,
    )
    return math.sqrt(float(((left - right) ** 2).mean() / (right**2).mean()))


draw = torch.Generator().manual_seed(1)
t = PERIOD * torch.rand(100, 2, generator=draw, dtype=torch.float64)
defects = {}
for n in (21, 19, 15, 11):
    grid = Grid((n, n), PERIOD / n)
    told = aliasing(F, grid)
    defects[n] = float(told.relative_defect), averaged(F, grid, t)
    print(
        f"{n} points: {100 * float(told.share):4.1f} % folded, defect {defects[n][0]:.3f}, averaged {defects[n][1]:.3f}"
    )

# %% [markdown]
# The same on 11 points, behind prefilters: what is left of the field's energy, and of the defect.

# %%
coarse, fine = Grid((11, 11), PERIOD / 11), required_grid(F)
left = {}
for kind in ("none", "box", "gaussian", "bspline", "ideal"):
    prefilter = Prefilter(kind)
    smooth = type(F)(
        F.frequencies,
        F.amplitudes * prefilter.transfer(F.frequencies, coarse.spacing[0]).prod(-1)[:, None],
    )
    left[kind] = float(aliasing(smooth, coarse).relative_defect)
    energy = float((sample(smooth, fine).values ** 2).mean())
    print(f"{kind:>8}: {100 * energy:5.1f} % of the energy, defect {left[kind]:.3f}")

# %% [markdown]
# What nonlinearities need, to a relative error of 10⁻² and 10⁻⁶.

# %%
slow = random_bandlimited(dim=2, channels=1, bandlimit=2 / PERIOD, period=PERIOD, seed=0)
points = {}
for name, fn in {"square": torch.square, "tanh": torch.tanh, "ReLU": torch.relu}.items():
    for rtol in (1e-2, 1e-6):
        try:
            points[name, rtol] = slow.map(fn).resolve(rtol, memory=1 << 28).shape[0]
            print(f"{name} to {rtol:g}: {points[name, rtol]} points a side")
        except NotResolved as error:
            print(f"{name} to {rtol:g}: not resolved, a tail of {error.tail:.1e} is left")

# %% [markdown]
# **Verdict.**

# %%
assert required_grid(F).shape == (21, 21)
assert defects[21][0] == 0.0
assert defects[21][1] < 1e-13
for exact, average in list(defects.values())[1:]:
    assert abs(average / exact - 1) < 0.1
assert left["none"] > left["box"] > left["gaussian"] > left["bspline"] > 0.1
assert left["ideal"] < 1e-13
assert points["square", 1e-2] == points["square", 1e-6] == 9
assert ("ReLU", 1e-6) not in points
print("The spectrum tells what a grid loses; what it can't tell, a filter has to take away before.")
