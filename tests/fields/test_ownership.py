"""Arrays are copied; tensors are kept, so that gradients reach them, and nothing kept of them goes stale."""

import numpy as np
import torch

from fields import Atoms, Interpolated, Mask, PlaneWaves, Polynomial
from fields.algebra.linear import Translated
from fields.evaluation.evaluation import evaluate
from fields.evaluation.plan import Plan
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


def test_a_translation_changed_in_place_leaves_the_field_where_it_was() -> None:
    """Given as it is, as part of another tensor, as what a gradient flows through; the gradient still does."""
    start = torch.tensor([1.5], dtype=torch.float64, requires_grad=True)
    for t in (torch.tensor([3.0]).double(), torch.tensor([[3.0], [4.0]]).double()[0], 2 * start):
        field = LINE.translate(t)
        with torch.no_grad():
            t += 5
        assert field([4.0]).item() == 1.0
    (slope,) = torch.autograd.grad(field([4.0]).sum(), start)
    assert slope.tolist() == [-2.0]


def test_a_learnt_translation_is_the_one_that_the_optimiser_changes() -> None:
    t = torch.tensor([0.0], dtype=torch.float64, requires_grad=True)
    field, optimiser = LINE.translate(t), torch.optim.SGD([t], lr=0.25)
    for _ in range(60):
        optimiser.zero_grad()
        ((field([0.0]) - 1.0) ** 2).sum().backward()
        optimiser.step()
    torch.testing.assert_close(t.detach(), torch.tensor([-1.0]).double())


def test_translations_by_one_tensor_share_their_points_until_it_changes() -> None:
    t = torch.tensor([0.3], dtype=torch.float64)
    first, second = LINE.translate(t), (2 * LINE).translate(t)
    assert len(Plan(first + second, (1.0,), (4,)).boxes[LINE]) == 1
    t += 1
    late = LINE.translate(t)
    assert isinstance(first, Translated)
    assert isinstance(late, Translated)
    assert not first.moves_like(late)
    assert len(Plan(first + late, (1.0,), (4,)).boxes[LINE]) == 2
    assert (first + late)([1.3]).item() == 1.0
    with torch.inference_mode():
        t = torch.tensor([0.3], dtype=torch.float64)
        before = LINE.translate(t)
        t += 1
        assert (before + LINE.translate(t))([1.3]).item() == 1.0


def test_an_origin_changed_in_place_leaves_the_samples_where_they_were() -> None:
    origin = torch.tensor([0.5], dtype=torch.float64)
    field = Interpolated(torch.arange(4.0).double()[None], (1.0,), origin, method="nearest")
    origin += 1
    assert field([2.5]).item() == 2.0
