"""A continuous network learns from samples at one spacing, and is the same function at another and off the grid."""

import torch
from torch import Tensor, nn

from discretize import Grid, sample
from fields import Ball, BumpKernel, GaussianKernel, PlaneWaves, random_bandlimited
from layers import Bias, Conv, LpPool, Pointwise
from tests.compare import relative_error

PERIOD = 8.0


def inputs() -> PlaneWaves:
    """A batch of four random fields, up to a frequency of 0.4."""
    drawn = [random_bandlimited(2, 1, 0.4, PERIOD, seed) for seed in range(4)]
    amplitudes = torch.stack([f.amplitudes for f in drawn])
    return PlaneWaves(drawn[0].frequencies, amplitudes, period=PERIOD)


def network(seed: int) -> nn.Sequential:
    """Conv with a learnt kernel, bias, GELU, mixing, local energy: nodes enough for a spacing of 1/4."""
    generator = torch.Generator().manual_seed(seed)

    def weights(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return nn.Sequential(
        Conv(GaussianKernel(0.5, weights(3, 1))),
        Bias(weights(3)),
        Pointwise(nn.GELU()),
        Conv(BumpKernel(1.5, weights(2, 3))),
        LpPool(Ball(0.8), 2),
    )


def trained(spacing: float) -> tuple[nn.Sequential, nn.Sequential, list[float]]:
    """A network fitted to another one's outputs on samples, by LBFGS, and the losses."""
    field, teacher, student = inputs(), network(0), network(1)
    f = sample(field, Grid((round(PERIOD / spacing),) * 2, spacing))
    with torch.no_grad():
        goal = teacher(f).values
    optimizer = torch.optim.LBFGS(student.parameters(), max_iter=40, line_search_fn="strong_wolfe")
    losses: list[float] = []

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = ((student(f).values - goal) ** 2).mean()
        value.backward()
        losses.append(float(value.detach()))
        return value

    optimizer.step(loss)
    return student, teacher, losses


def test_trained_at_one_spacing_used_at_others() -> None:
    """The loss falls a hundredfold at spacing 1/2; the network is one function.

    At spacings 1/4 and 1/8, and as a continuous network sampled on the coarse grid, it gives the values that the finest
    samples have there; differences are those of the quadrature, second order in the spacing. Off the grid the
    continuous network agrees with the trigonometric interpolant of its samples, and commutes with real translations.
    """
    student, _, losses = trained(0.5)
    assert min(losses) < 0.01 * losses[0]
    field = inputs()
    with torch.no_grad():
        fine = {
            h: student(sample(field, Grid((round(PERIOD / h),) * 2, h))) for h in (0.5, 0.25, 0.125)
        }
        best = sample(student(field), Grid((16, 16), 0.5), refinement=16).values
        errors = []
        for h, result in fine.items():
            step = round(0.5 / h)
            errors.append(relative_error(result.values[..., ::step, ::step], best))
        assert errors[0] <= 0.05
        assert errors[1] <= errors[0] / 2.5
        assert errors[2] <= errors[1] / 2.5
        x = PERIOD * torch.rand(
            20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
        )
        samples = sample(student(field), Grid((32, 32), 0.25), refinement=4)
        assert relative_error(samples.interpolate("fourier")(x), student(field)(x)) <= 1e-2
        t = torch.tensor([0.1234, -1.7], dtype=torch.float64)
        assert relative_error(student(field.translate(t))(x), student(field)(x - t)) <= 1e-12
