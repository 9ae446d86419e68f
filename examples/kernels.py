# %% [markdown]
# # Kinds of kernel
#
# **Question.** A kernel can be a density, given by a formula, a profile, a field, a basis or a network, or weights at
# points. Does equivariance depend on which, or on how well its integral is computed?
#
# **Prediction.** No. The nodes of the quadrature are fixed in the kernel's frame and move along with x, so that the
# layer commutes with every real translation to rounding error, with many nodes or few. Their number decides how close
# the output comes to the true integral: at second order or better; weights at points are exact as they are.

# %%
import torch
from torch import Tensor

from equivariance import equivariance_error
from fields import (
    Atoms,
    BallKernel,
    BasisKernel,
    BoxKernel,
    BSplineKernel,
    BumpKernel,
    FieldKernel,
    Gabors,
    GaussianKernel,
    Kernel,
    MatrixKernel,
    PeriodicKernel,
    mlp_kernel,
    random_bandlimited,
)
from layers import Conv

PERIOD = 8.0
F = random_bandlimited(dim=2, channels=2, bandlimit=3 / PERIOD, period=PERIOD, seed=0)
draw = torch.Generator().manual_seed(0)


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=draw, dtype=torch.float64)


# %% [markdown]
# **Run.** All kernels map two channels to three.

# %%
matrix = randn(3, 2)


def tent(y: Tensor) -> Tensor:
    """K(y) = M·(1 − |y|) on the unit disc: y (…, 2) → (…, 3, 2)."""
    return (1 - y.norm(dim=-1)).clamp(min=0)[..., None, None] * matrix


scales = [GaussianKernel(w, [[1.0]]) for w in (0.2, 0.4, 0.6)]
kernels: dict[str, MatrixKernel] = {
    "Kernel, a tent": Kernel(tent, 3, 2, radius=1.0),
    "GaussianKernel": GaussianKernel(0.4, matrix),
    "BoxKernel": BoxKernel([1.0, 2.0], matrix),
    "BSplineKernel": BSplineKernel(0.5, matrix),
    "BumpKernel": BumpKernel(1.0, matrix),
    "BallKernel": BallKernel(1.0, matrix),
    "FieldKernel, a Gabor": FieldKernel(
        Gabors([[0.2, -0.1]], [[1.0]], [0.3], [[0.8, 0.4]]), matrix
    ),
    "BasisKernel": BasisKernel(scales, randn(3, 3, 2)),
    "PeriodicKernel": PeriodicKernel(randn(5, 5, 3, 2), PERIOD),
    "mlp_kernel": mlp_kernel(2, 3, 2, radius=1.0),
    "Atoms": Atoms(randn(4, 2), randn(4, 3, 2)),
    "Atoms.from_array": Atoms.from_array(randn(3, 3, 3, 2), spacing=0.25),
}

# %%
points = PERIOD * torch.rand(12, 2, generator=draw, dtype=torch.float64)
t = [[0.3, 0.0], [2**0.5, -1.7]]
breaks, quadrature = {}, {}
with torch.no_grad():
    for name, kernel in kernels.items():
        coarse, fine, finest = (Conv(kernel, nodes=n, exact=False)(F)(points) for n in (2, 8, 32))
        size = finest.abs().max()
        quadrature[name] = [float((f - finest).abs().max() / size) for f in (coarse, fine)]
        layer = Conv(kernel, nodes=2, exact=False)
        breaks[name] = float(equivariance_error(layer, F, t, points=points).max())
        print(f"{name:>18}: equivariance error {breaks[name]:.0e}, quadrature ", end="")
        print("with 2 and 8 nodes per radius {:.0e}, {:.0e}".format(*quadrature[name]))

# %% [markdown]
# **Verdict.**

# %%
assert max(breaks.values()) < 1e-12
assert max(few for few, _ in quadrature.values()) > 0.01
for name, (few, more) in quadrature.items():
    assert more < 1e-13 or more < few / 8, name
assert quadrature["Atoms"] == quadrature["Atoms.from_array"] == [0.0, 0.0]
print("Sharing weights makes a layer equivariant; nodes make it accurate.")
