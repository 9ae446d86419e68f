# %% [markdown]
# # Activations without aliases
#
# **Question.** A pointwise nonlinearity makes waves that the grid can't hold. How finely must it be computed, for the
# layer to commute with translations that are no whole number of pixels?
#
# **Prediction.** A polynomial of degree p widens the band p times: u ≥ (p + 1)/2 times as fine a grid is exact. GELU's
# waves decay fast, a ReLU's slowly: with u their errors fall, and never vanish. On the function itself, without a
# grid, each of them commutes with every translation.

# %%
import torch
from torch import nn

from discretize import AliasFreeActivation, Grid, PolynomialActivation
from equivariance import equivariance_error
from fields import random_bandlimited
from layers import Conv, Pointwise

SIZE = 32
F = random_bandlimited(dim=2, channels=1, bandlimit=0.45, period=float(SIZE), seed=0)
grid, t = Grid((SIZE, SIZE), 1.0), [0.3, 2**0.5]
draw = torch.Generator().manual_seed(0)
weights = torch.randn(3, 3, 4, 1, generator=draw, dtype=torch.float64) / 3
points = SIZE * torch.rand(30, 2, generator=draw, dtype=torch.float64)

# %% [markdown]
# **Run.**

# %%
functions = {
    "degree 2": PolynomialActivation([0.01694, 0.5, 0.30784]),
    "degree 3": PolynomialActivation([0.0, 1.0, 0.2, -0.1]),
    "GELU": nn.GELU(),
    "ReLU": nn.ReLU(),
}
errors: dict[str, list[float]] = {}
continuous = {}
with torch.no_grad():
    for name, fn in functions.items():
        conv = Conv.from_array(weights, spacing=1.0)
        for u in (1, 2, 4, 8):
            net = nn.Sequential(conv, AliasFreeActivation(fn, oversampling=u))
            errors.setdefault(name, []).append(float(equivariance_error(net, F, t, grid)))
        net = nn.Sequential(conv, Pointwise(fn))
        continuous[name] = float(equivariance_error(net, F, t, points=points))
        row = "  ".join(f"{e:.0e}" for e in errors[name])
        print(f"{name:>9}: u = 1, 2, 4, 8: {row};  as a function {continuous[name]:.0e}")

# %% [markdown]
# **Verdict.**

# %%
EXACT = 1e-12
assert [e < EXACT for e in errors["degree 2"]] == [False, True, True, True]
assert [e < EXACT for e in errors["degree 3"]] == [False, True, True, True]
assert AliasFreeActivation(functions["degree 3"]).oversampling == 2, "⌈(3 + 1)/2⌉"
for name in ("GELU", "ReLU"):
    assert errors[name] == sorted(errors[name], reverse=True), name
    assert errors[name][-1] > 1e-9, name
assert errors["ReLU"][-1] > 10 * errors["GELU"][-1]
assert max(continuous.values()) < EXACT
print("A polynomial is exact on a grid (p + 1)/2 times as fine; other functions only come close.")
