"""Arrays are copied; tensors are kept, so that gradients reach them, and nothing kept of them goes stale."""

import numpy as np
import torch

from fields import Atoms, Interpolated, Mask, PlaneWaves, Polynomial
from fields.evaluation import evaluate
from fields.lattice import Lattice

LINE = Polynomial([[1]], [[1.0]])


def on(spacing: float, count: int) -> Lattice:
    return Lattice(torch.zeros(1, dtype=torch.float64), (spacing,), (count,))


def test_arrays_are_copied() -> None:
    values = np.zeros((1, 4))
    field = Interpolated(values, 1.0, method="linear")
    values += 1
    assert float(field([0.5])) == 0.0


def test_offsets_and_masks_stay_what_they_were() -> None:
    """Their taps are kept per lattice: those on a lattice met later must be the same."""
    offsets = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    mask = torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
    atoms = Atoms(offsets, torch.ones(2, 1, 1).double())
    for field in (LINE.convolve(atoms), LINE.pool(Mask(mask, 1.0))):
        before = field([0.0])
        offsets += 5
        mask.fill_(1.0)
        assert torch.equal(field([0.0]), before)
        assert torch.equal(evaluate(field, on(0.3, 2))[:, 0], before)


def test_frequencies_stay_what_they_were() -> None:
    frequencies = torch.tensor([[0.25, 0.0], [0.0, 0.25]], dtype=torch.float64)
    field = PlaneWaves(frequencies, torch.ones(2, 1, dtype=torch.complex128))
    frequencies *= 2
    assert field.bandlimit == tuple(field.frequencies.amax(0).tolist())
    assert field.is_periodic(4.0)


def test_values_changed_in_place_are_seen_everywhere() -> None:
    """At scattered points and on lattices alike, for all methods, whatever was kept of the values before."""
    for method in ("fourier", "linear", "cubic"):
        values = torch.arange(8.0, dtype=torch.float64)[None].clone()
        field = Interpolated(values, 1.0, method=method)
        points, lattice = field([0.3]), evaluate(field, on(1.0, 8))
        values += 1
        torch.testing.assert_close(field([0.3]), points + 1)
        torch.testing.assert_close(evaluate(field, on(1.0, 8)), lattice + 1)
