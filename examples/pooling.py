# %% [markdown]
# # Pooling
#
# **Question.** Means, maxima and what lies between them: which poolings are equivariant, and what becomes of them if
# one pools over all of space?
#
# **Prediction.** All local ones are, as long as the window is the same everywhere: on functions for every real
# translation, whatever the window's shape; on samples for those by whole spacings, and a mean, which is linear, for
# the others too. Power means rise from the mean of |F| to its maximum with p, soft maxima fall from the maximum to the
# mean with the temperature. Pooled over a period, what is left doesn't change under translations.

# %%
import torch
from torch import nn

from discretize import Grid, sample
from equivariance import equivariance_error
from fields import (
    Aggregate,
    Ball,
    Box,
    Mask,
    Window,
    power_mean,
    random_bandlimited,
    soft_maximum,
)
from layers import AvgPool, GlobalPool, LpPool, MaxPool, SoftMaxPool

PERIOD = 16.0
F = random_bandlimited(dim=2, channels=2, bandlimit=3 / PERIOD, period=PERIOD, seed=0)
grid = Grid((16, 16), 1.0)
draw = torch.Generator().manual_seed(0)
points = PERIOD * torch.rand(30, 2, generator=draw, dtype=torch.float64)

# %% [markdown]
# **Run.** Every pooling over every window, by a real translation and by a whole one.

# %%
windows: dict[str, Window] = {
    "ball": Ball(1.5),
    "box": Box([3.0, 1.0]),
    "mask": Mask([[1, 1, 0], [0, 1, 1], [0, 0, 1]], spacing=1.0),
}
function, real, whole = {}, {}, {}
for name, window in windows.items():
    layers: dict[str, nn.Module] = {
        "mean": AvgPool(window, nodes=4),
        "p = 3": LpPool(window, p=3, nodes=4),
        "T = 0.1": SoftMaxPool(window, temperature=0.1, nodes=4),
        "max": MaxPool(window, nodes=4),
    }
    for kind, layer in layers.items():
        key = name, kind
        with torch.no_grad():
            function[key] = float(equivariance_error(layer, F, [0.3, 2**0.5], points=points))
            real[key] = float(equivariance_error(layer, F, [0.3, 2**0.5], grid))
            whole[key] = float(equivariance_error(layer, F, [3.0, -1.0], grid))
        print(f"{name}, {kind:>7}: function {function[key]:.0e}, ", end="")
        print(f"samples, real t {real[key]:.0e}, whole t {whole[key]:.0e}")

# %% [markdown]
# From the mean to the maximum: the same aggregates, for `pool`.

# %%
f = sample(F, grid)
means: list[Aggregate] = [power_mean(p) for p in (1, 2, 8, 64)]
powers = [float(f.pool(Box(3.0), a).values.mean()) for a in means]
soft = [float(f.pool(Box(3.0), soft_maximum(T)).values.mean()) for T in (1e-3, 0.1, 1.0, 100.0)]
mean, largest = (float(f.pool(Box(3.0), kind).values.mean()) for kind in ("mean", "max"))
print(f"power means 1, 2, 8, 64:        {[round(v, 3) for v in powers]}")
print(f"soft maxima T = .001, .1, 1, 100: {[round(v, 3) for v in soft]}; ", end="")
print(f"maximum {largest:.3f}, mean {mean:.3f}")

# %% [markdown]
# Over the whole period: invariants.

# %%
changes = {}
moved = F.translate([0.3, 2**0.5]).map(torch.relu)
for how in ("mean", "integral", 2.0, "max"):
    pool = GlobalPool(how, rtol=1e-3)
    before, after = pool(F.map(torch.relu)), pool(moved)
    changes[how] = float((after - before).abs().max() / before.abs().max())
    print(f"{how!s:>9}: {[round(v, 3) for v in before.tolist()]}, changed by {changes[how]:.0e}")

# %% [markdown]
# **Verdict.**

# %%
assert max(function.values()) < 1e-12
assert max(whole.values()) < 1e-13
for (name, kind), error in real.items():
    assert error < 1e-13 if kind == "mean" else error > 1e-4, (name, kind)
assert powers == sorted(powers)
assert soft == sorted(soft, reverse=True)
assert abs(soft[0] - largest) < 0.01 * abs(largest)
assert abs(soft[-1] - mean) < 0.01
assert max(changes.values()) < 2e-3
print(
    "One window for all points is what equivariance asks; over all of space an invariant is left."
)
