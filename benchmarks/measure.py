"""Measuring a model: sweeps over T translations, each beside T bare forward passes in batches of the same size.

    output only                             at most 1.15 ×
    all layers, at whole translations       at most 2.2 ×
    all layers, at real translations        at most 3.5 ×

The model is the ResNet-18 of examples/measure_a_model.py on 64 × 64 pixels, as it is, float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.harness import alternate, show
from equivariance import measure
from equivariance.experiments.residual_network import resnet

COUNT, INPUTS, BATCH = 33, 8, 16
SIDE = 64


def bare(model: torch.nn.Module, x: Tensor) -> None:
    """T forward passes, in batches of the size that the sweep takes."""
    with torch.no_grad():
        for part in x.split(BATCH):
            model(part)


def main() -> None:
    """Run all three."""
    model = resnet().eval()
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(INPUTS, 3, SIDE, SIDE, generator=draw)
    many = x.repeat(COUNT, 1, 1, 1)
    whole = torch.randint(SIDE, (COUNT, 2), generator=draw).double()
    real = SIDE * torch.rand(COUNT, 2, generator=draw, dtype=torch.float64)
    options: dict[str, Any] = {"padding": "as is", "batch": BATCH, "probe": False}
    cases: list[tuple[str, Tensor, str, float]] = [
        ("output only, whole translations", whole, "output", 1.15),
        ("output only, real translations", real, "output", 1.15),
        ("all layers, whole translations", whole, "all", 2.2),
        ("all layers, real translations", real, "all", 3.5),
    ]
    for title, t, layers, bound in cases:
        run: Callable[[], object] = partial(measure, model, x, t, layers=layers, **options)
        medians = alternate({"measured": run, "bare": partial(bare, model, many)}, rounds=5)
        show(f"{title}: {COUNT} translations of {INPUTS} inputs", medians, bound)
