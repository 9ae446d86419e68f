# %% [markdown]
# # What is not shared, and the part of it that is
#
# **Question.** A linear map, a bias, a nonlinearity, a window that depend on the place break equivariance. What is
# left, if one averages over all translations?
#
# **Prediction.** The average T₋ₜ L Tₜ over t is the equivariant part of L: a convolution, a constant bias, one
# nonlinearity, one mixture of windows. It commutes with every real translation, averaging once more changes nothing,
# and layers that share their weights are left alone.

# %%
import math

import torch
from torch import Tensor, nn

from equivariance import equivariance_error
from fields import Box, PlaneWaves, random_bandlimited
from layers import Bias, BiasField, Conv, IntegralOperator, PointwiseField, PoolField, shared

PERIOD = 4.0
F = random_bandlimited(dim=1, channels=1, bandlimit=3 / PERIOD, period=PERIOD, seed=0)
draw = torch.Generator().manual_seed(0)
points = PERIOD * torch.rand(20, 1, generator=draw, dtype=torch.float64)


def wave(x: Tensor, k: int = 1) -> Tensor:
    return torch.cos(2 * math.pi * k * x / PERIOD)


# %% [markdown]
# **Run.**


# %%
def kappa(x: Tensor, y: Tensor) -> Tensor:
    """A convolution, 1 + cos(x − y), and a part that depends on where x is."""
    return (1 + wave(x - y) + wave(x + 2 * y))[..., None]


layers: dict[str, nn.Module] = {
    "IntegralOperator": IntegralOperator(kappa, period=PERIOD),
    "BiasField": BiasField(2.0 + PlaneWaves([[1 / PERIOD]], [[1.0]])),
    "PointwiseField": PointwiseField(lambda x, v: (1.5 + wave(x)) * torch.tanh(v), period=PERIOD),
    "PoolField": PoolField(
        lambda x: Box(0.5 if float(x.sum()) % PERIOD < 2 else 1.5), period=PERIOD
    ),
}
t = [[0.3], [math.sqrt(2)]]
broken, mended, again = {}, {}, {}
with torch.no_grad():
    for name, layer in layers.items():
        part = shared(layer, period=PERIOD)
        broken[name] = float(equivariance_error(layer, F, t, points=points).max())
        mended[name] = float(equivariance_error(part, F, t, points=points).max())
        once, twice = part(F)(points), shared(part, period=PERIOD)(F)(points)
        again[name] = float((once - twice).abs().max())
        print(f"{name:>16}: {broken[name]:.2f}; its shared part, a {type(part).__name__}: ", end="")
        print(f"{mended[name]:.0e}, changed by averaging again: {again[name]:.0e}")

# %% [markdown]
# What remains of the operator's kernel is 1 + cos(x − y), of the bias 2.

# %%
operator, bias = shared(layers["IntegralOperator"]), shared(layers["BiasField"])
assert isinstance(operator, Conv)
assert isinstance(bias, Bias)
wanted = IntegralOperator(lambda x, y: (1 + wave(x - y))[..., None], period=PERIOD)
with torch.no_grad():
    left = float((operator(F)(points) - wanted(F)(points)).abs().max())
print(f"the convolution with 1 + cos: to {left:.0e}; the bias: {bias.bias.tolist()}")

# %% [markdown]
# **Verdict.**

# %%
assert min(broken.values()) > 1e-3
assert max(mended.values()) < 1e-12
assert max(again.values()) < 1e-12
assert left < 1e-12
assert abs(float(bias.bias.detach()) - 2) < 1e-12
print("Averaged over translations, every layer shares its weights.")
