# %% [markdown]
# # Train on one grid, run on another, and as a function
#
# **Question.** A convolution with a continuous kernel is learnt from arrays. Is what it learnt a property of the grid,
# or of the kernel?
#
# **Prediction.** Of the kernel: weights are values of a density times the spacing to the power d. Learnt on a grid of
# spacing 1, the layer does the same on one of spacing ½, and on the function itself, up to the error of the coarse
# quadrature. Weights of an array, like those of `torch.nn.Conv2d`, sit at fixed offsets: given to a grid that is
# twice as fine as if they were for it, they are another operator.

# %%
import torch
from torch import nn

from discretize import Grid, Samples, sample
from fields import BasisKernel, GaussianKernel, random_bandlimited
from layers import Conv, OnGrid, TorchModel

PERIOD = 16.0
grid, fine = Grid((16, 16), 1.0), Grid((32, 32), 0.5)
fields = [random_bandlimited(2, 1, bandlimit=0.3, period=PERIOD, seed=s) for s in range(4)]
truth = Conv(GaussianKernel(1.1, [[2.0]]))

# %% [markdown]
# **Run.** What is to be learnt is a Gaussian blur of width 1.1; the basis holds Gaussians of four other widths. Beside
# it, a convolution of torch with 7×7 weights.

# %%
with torch.no_grad():
    inputs = torch.stack([sample(F, grid).values for F in fields])
    targets = torch.stack([sample(truth(F), grid).values for F in fields])
widths = (0.8, 1.0, 1.2, 1.5)
start = torch.zeros(len(widths), 1, 1, dtype=torch.float64)
kernel = BasisKernel([GaussianKernel(w, [[1.0]]) for w in widths], start)
continuous = Conv(kernel)
torch.manual_seed(0)
arrays = nn.Conv2d(1, 1, 7, padding=3, padding_mode="circular", bias=False).double()


def fit(model: nn.Module, steps: int) -> float:
    """Least squares by L-BFGS; the final relative error."""
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        error = (model(inputs) - targets).square().mean() / targets.square().mean()
        error.backward()
        return error

    optimizer.step(loss)
    return float(loss().detach()) ** 0.5


learnt = {"continuous": fit(OnGrid(continuous, grid), 40), "torch": fit(arrays, 40)}
print(f"learnt on spacing 1: relative errors {learnt['continuous']:.0e} and {learnt['torch']:.0e}")

# %% [markdown]
# A field that neither has seen, on the grid of the training, on one twice as fine, and at points.

# %%
F = random_bandlimited(2, 1, bandlimit=0.3, period=PERIOD, seed=100)


def error(layer: nn.Module, on: Grid) -> float:
    expected = sample(truth(F), on).values
    return float((layer(sample(F, on)).values - expected).norm() / expected.norm())


as_layer = TorchModel(arrays)
points = PERIOD * torch.rand(30, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
with torch.no_grad():
    errors = {
        "continuous": [error(continuous, grid), error(continuous, fine)],
        "torch": [error(as_layer, grid), error(as_layer, fine)],
    }
    expected = truth(F)(points)
    at_points = float((continuous(F)(points) - expected).norm() / expected.norm())
    same = (
        as_layer(Samples(inputs[0], grid)).values
        - Conv.from_torch(arrays, 1.0)(Samples(inputs[0], grid)).values
    )
for name, (coarse, finer) in errors.items():
    print(f"{name:>10}: spacing 1 {coarse:.0e}, spacing ½ {finer:.0e}")
print(f"continuous, as a function at points: {at_points:.0e}")

# %% [markdown]
# **Verdict.**

# %%
assert max(*errors["continuous"], at_points) < 1e-2
assert errors["torch"][0] < 2e-2
assert errors["torch"][1] > 10 * errors["continuous"][1]
assert float(same.abs().max()) < 1e-12
print(
    "A kernel in length units is learnt once, for every grid; an array of weights belongs to one."
)
