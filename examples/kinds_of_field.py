# %% [markdown]
# # Kinds of field
#
# **Question.** Fields are functions: sums of blobs, of waves, shapes, images, formulas. Are they the same function
# wherever they are asked, and do their integrals agree with sums over grids?
#
# **Prediction.** Translating a field by a real t moves the place where it is evaluated: (t▷F)(x) = F(x − t) holds to
# rounding error for each of them. The sum over a grid of spacing h, times hᵈ, is the integral for everything without
# waves at multiples of 1/h: to rounding error for smooth decaying fields, to about h for shapes with jumps.

# %%
import math

import torch
from torch import Tensor

from discretize import Grid, sample
from fields import (
    Balls,
    Boxes,
    Bumps,
    Constant,
    FeatureMap,
    Field,
    Formula,
    Gabors,
    Gaussians,
    Interpolated,
    PlaneWaves,
    Polynomial,
    Sprites,
    local_translation,
    random_bandlimited,
    random_gaussian,
    stack,
)

draw = torch.Generator().manual_seed(0)


def rand(*shape: int) -> Tensor:
    return torch.rand(shape, generator=draw, dtype=torch.float64)


# %% [markdown]
# **Run.** Three terms of each kind, with two channels, on the plane: those that decay, and those that don't.

# %%
centers, amplitudes, sizes = 3 * rand(3, 2) - 1.5, rand(3, 2), 1 + rand(3)
bump = Bumps([[0.0, 0.0]], [[1.0]], [2.0])
blob = Gaussians(centers, amplitudes, sizes / 2)
decaying: dict[str, Field] = {
    "Gaussians": blob,
    "Gabors": Gabors(centers, amplitudes, sizes / 2, 2 * rand(3, 2) - 1),
    "Bumps": Bumps(centers, amplitudes, 2 * sizes),
    "Balls": Balls(centers, amplitudes, sizes),
    "Boxes": Boxes(centers, amplitudes, 1 + rand(3, 2)),
    "Sprites": Sprites("heart", centers, amplitudes, sizes, 6 * rand(3)),
    "Sprites, smooth": Sprites("heart", centers, amplitudes, sizes, 6 * rand(3), width=0.3),
    "stack": stack([blob[0], bump]),
    "local_translation": local_translation([blob, (0.5 * blob, bump)], [[0.0, 0.0], [1.3, 0.4]]),
}
period = 8.0
others: dict[str, Field] = {
    "Constant": Constant([1.0, 2.0], dim=2),
    "Polynomial": Polynomial([[0, 0], [1, 0], [2, 1]], rand(3, 2)),
    "Formula": Formula(lambda x: torch.sin(2 * math.pi * x / period), dim=2, channels=2),
    "PlaneWaves": PlaneWaves(rand(3, 2), torch.complex(rand(3, 2), rand(3, 2))),
    "random_bandlimited": random_bandlimited(2, 2, bandlimit=0.8, period=period, seed=0),
    "random_gaussian": random_gaussian(
        2, 2, lambda f: torch.exp(-4 * (f**2).sum(-1)), bandlimit=0.8, period=period, seed=0
    ),
    "Interpolated": Interpolated(rand(2, 8, 8), spacing=1.0),
    "Interpolated, cubic": Interpolated(rand(2, 8, 8), spacing=1.0, method="cubic"),
}

# %%
x, t = 6 * rand(50, 2) - 3, torch.tensor([0.3, -math.sqrt(2)], dtype=torch.float64)
moved = {}
for name, field in (decaying | others).items():
    expected = field(x - t)
    moved[name] = float((field.translate(t)(x) - expected).abs().max() / expected.abs().max())
print(f"(t▷F)(x) − F(x − t), the worst of {len(moved)} kinds: {max(moved.values()):.1e}")

# %%
errors: dict[str, list[float]] = {}
for name, field in decaying.items():
    exact = field.integrate(rtol=1e-4)
    for n in (64, 256):
        grid = Grid((n, n), 32 / n, origin=-16.0, boundary="none")
        total = sample(field, grid, prefilter="none").values.sum((-2, -1)) * (32 / n) ** 2
        errors.setdefault(name, []).append(float((total / exact - 1).abs().max()))
    print(f"{name:>18}: integral {exact.tolist()[0]:7.4f}, sums are off by ", end="")
    print(" and ".join(f"{e:.0e}" for e in errors[name]))

# %% [markdown]
# **Verdict.**

# %%
assert all(isinstance(field, Field) and isinstance(field, FeatureMap) for field in others.values())
assert max(moved.values()) < 1e-12
for name in ("Gaussians", "Gabors", "Bumps"):
    assert errors[name][1] < 1e-6, name
for name in ("Balls", "Boxes", "Sprites"):
    assert errors[name][1] < 0.3 * 32 / 256, name
    assert errors[name][1] > 1e-5, name
print("Fields are functions: they move exactly, and grids sum them as well as they are smooth.")
