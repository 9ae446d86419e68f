# %% [markdown]
# # Any network, on a grid that moves along
#
# **Question.** Can a network that is trained already, with padding, max pooling and strides, be made invariant to
# every real translation?
#
# **Prediction.** Yes, for periodic inputs with waves below Nyquist: predict an origin from the input that moves along
# with it, resample the input from there, and apply the network. It then sees the same array whatever the translation.
# An input with a symmetry of its own, a constant at the extreme, has no origin, and the confidence says so.

# %%
import warnings

import torch
from torch import nn

from discretize import Grid, sample
from equivariance import Comoving, LowConfidence
from fields import random_bandlimited

SIZE = 32
F = random_bandlimited(dim=2, channels=1, bandlimit=0.45, period=float(SIZE), seed=0)
grid = Grid((SIZE, SIZE), 1.0)
torch.manual_seed(0)
network = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1, stride=2),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(16 * 8 * 8, 10),
).double()

# %% [markdown]
# **Run.** The same field, moved by random real translations.

# %%
draw = torch.Generator().manual_seed(1)
t = SIZE * torch.rand(20, 2, generator=draw, dtype=torch.float64)
still, images = sample(F, grid).values[None], sample(F.translate(t), grid).values
comoving = Comoving(network)
with torch.no_grad():
    plain = float((network(images) - network(still)).norm(dim=1).max() / network(still).norm())
    output, origin, confidence = comoving(still)
    outputs, origins, confidences = comoving(images)
wrapped = float((outputs - output).norm(dim=1).max() / output.norm())
residue = (origins - origin - t + SIZE / 2) % SIZE - SIZE / 2
print(f"plain network: the output changes by up to {plain:.2f}")
print(f"comoving:      by up to {wrapped:.0e}, confidence at least {float(confidences.min()):.2f}")
print(f"the predicted origin moves by t, to {float(residue.abs().max()):.0e} pixels")

# %% [markdown]
# A constant has no origin.

# %%
with warnings.catch_warnings(record=True) as said, torch.no_grad():
    warnings.simplefilter("always")
    doubtful = comoving(torch.ones(1, 1, SIZE, SIZE, dtype=torch.float64))[2]
print(f"{said[0].category.__name__}: {said[0].message}")

# %% [markdown]
# **Verdict.**

# %%
assert plain > 0.1
assert wrapped < 1e-9
assert float(residue.abs().max()) < 1e-9
assert issubclass(said[0].category, LowConfidence)
assert float(doubtful.max()) < 1e-8
print(
    "On a grid that moves along, any network is invariant; where there is no such grid, one is told."
)
