# %% [markdown]
# # Subsampling, side by side
#
# **Question.** Which ways to subsample by two commute with which translations?
#
# **Prediction.** A plain stride keeps the translations by even numbers of samples. Filters make the rest better, not
# exact: a nonlinearity in front of them aliases. Choosing the sublattice from the input, and telling where it lies,
# makes all whole translations exact: the largest polyphase component (APS), a learnt score (LPS), the position of the
# peak (Xu et al.); an ideal low-pass filter does so, too. A grid whose origin moves along with the input is exact for
# all real translations, of inputs below the Nyquist frequency; behind an activation that aliases nothing this holds for
# the whole layer.

# %%
import torch
from torch import nn

from discretize import (
    AdaptivePolyphase,
    AliasFreeActivation,
    AveragePooling,
    BlurPool,
    CNOActivation,
    ComovingSubsampling,
    EquivariantChain,
    EquivariantSubsampling,
    FilteredLeakyReLU,
    Grid,
    IdealLowpass,
    LearnablePolyphase,
    MaxPooling,
    Peak,
    PolynomialActivation,
    PolyphaseSubsampling,
    Stride,
    Subsampling,
    Upsampling,
    comoving_grid,
    sample,
)
from equivariance import equivariance_error
from fields import random_bandlimited
from layers import Conv, Pointwise

SIZE = 32
F = random_bandlimited(dim=2, channels=1, bandlimit=0.45, period=float(SIZE), seed=0)
grid = Grid((SIZE, SIZE), 1.0)
draw = torch.Generator().manual_seed(0)
weights = torch.randn(3, 3, 4, 1, generator=draw, dtype=torch.float64)

# %% [markdown]
# **Run.** A convolution, an activation (a ReLU, or x ↦ c₀ + c₁x + c₂x² without aliases), and the subsampling; errors
# for a translation by two samples, one, and an irrational number of them.

# %%
subsamplings: dict[str, Subsampling] = {
    "stride": Stride(2),
    "average": AveragePooling(2),
    "maximum": MaxPooling(2, size=3),
    "blur": BlurPool(2, taps=4),
    "ideal low-pass": IdealLowpass(2),
    "StyleGAN3's": FilteredLeakyReLU(up=2, down=4),
    "CNO's": CNOActivation(2),
    "APS": AdaptivePolyphase(2),
    "LPS": LearnablePolyphase(2, channels=4, dim=2),
    "Xu et al.": EquivariantSubsampling(2),
    "Xu et al., smooth": EquivariantSubsampling(2, Peak(centred=True, box=3, sigma=2.0)),
    "comoving": ComovingSubsampling(
        2, nyquist="keep"
    ),  # a ReLU makes waves at Nyquist: see the errors
}
translations = [[2.0, -4.0], [1.0, 3.0], [0.3, 2**0.5]]
smooth = AliasFreeActivation(PolynomialActivation([0.01694, 0.5, 0.30784]))
activations = {"ReLU": Pointwise(torch.relu), "alias-free": smooth}
errors: dict[tuple[str, str], list[float]] = {}
print(f"{'':>18}  {'ReLU: even, odd, real':24}  alias-free: even, odd, real")
for name, subsampling in subsamplings.items():
    line = f"{name:>18}  "
    for activation, sigma in activations.items():
        net = nn.Sequential(Conv.from_array(weights, spacing=1.0), sigma, subsampling).eval()
        with torch.no_grad():
            measured = [float(equivariance_error(net, F, t, grid)) for t in translations]
        errors[name, activation] = measured
        line += "  ".join(f"{e:.0e}" for e in measured).ljust(26)
    print(line)

# %% [markdown]
# What was kept can be put back where it was: the output's grid says where.

# %%
f = sample(F.translate([0.3, 0.7]), grid)
xu = EquivariantSubsampling(2)
coarse = xu(f)
back = xu.upsampling(coarse, f.grid)
kept = back.values != 0
print(
    f"kept {float(kept.double().mean()):.2f} of the samples, at origin {coarse.grid.origin.tolist()}"
)
smoother = Upsampling(2, "fourier")(ComovingSubsampling(2)(f), f.grid)
predicted, confidence = comoving_grid(f, 2)
print(f"a comoving grid begins at {[round(v, 3) for v in predicted.origin.tolist()]}, ", end="")
print(f"with confidence {[round(v, 3) for v in confidence.tolist()]}")

# %% [markdown]
# Strides in a chain, all from one index: 32 = 2·4·4 leaves one point per channel, an invariant code, and its position.

# %%
chain = EquivariantChain([nn.Identity(), nn.Identity(), nn.Identity()], [2, 4, 4])
codes = [chain(sample(F.translate([float(t), 3.0 * t]), grid)) for t in (0, 5)]
pose = (codes[1].grid.origin - codes[0].grid.origin) % SIZE
print(f"the code changes by {float((codes[1].values - codes[0].values).abs().max()):.0e}, ", end="")
print(f"its position by {pose.tolist()}")

# %% [markdown]
# **Verdict.**

# %%
EXACT = 1e-12
for (name, activation), (even, odd, real) in errors.items():
    case = name, activation
    chooses = isinstance(subsamplings[name], PolyphaseSubsampling)
    aliases_nothing = name in ("comoving", "ideal low-pass")
    assert (even < EXACT) == (name != "CNO's"), case
    assert (odd < EXACT) == (chooses or aliases_nothing), case
    assert (real < EXACT) == (aliases_nothing and activation == "alias-free"), case
assert torch.equal(back.values[kept], f.values[kept])
assert smoother.grid.coincides(f.grid)
assert torch.allclose(codes[0].values, codes[1].values, rtol=0, atol=1e-12)
assert pose.round(decimals=9).tolist() == [5.0, 15.0]
print(
    "Whole translations want a sublattice chosen by the input; real ones a moving grid and no aliases."
)
