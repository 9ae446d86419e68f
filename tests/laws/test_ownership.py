"""One field, one answer: whatever happens to the tensors that it was made of, it is the field of their present values.

A recipe is built twice. The first time every tensor that comes in at the boundary of the interface is noted; these are
then changed through `.data`, unseen by torch's count of changes. The second time the recipe is given copies of what the
tensors hold by then. Numbers that are static by contract (offsets, masks, translations, origins) are copied: they stay.
"""

import copy
import math
import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from discretize import sample
from fields import (
    Constant,
    GaussianKernel,
    Gaussians,
    Interpolated,
    MatrixKernel,
    PeriodicKernel,
    PlaneWaves,
    Polynomial,
    checks,
)
from fields.algebra import closed_forms
from fields.algebra import closed_forms as closed
from fields.algebra.field import Field
from fields.evaluation.evaluation import evaluate
from fields.lattice import Lattice
from fields.leaves.interpolated import METHODS
from tests.compare import assert_close
from tests.laws import modules
from tests.laws.registry import (
    COMPOSED,
    DIMS,
    FIELDS,
    INTERPOLANTS,
    LEAVES,
    PERIOD,
    Draw,
    Kind,
    blur,
    boxes,
    constant,
    gabors,
    gaussians,
    gaussians_covariance,
    points,
    waves_on_a_grid,
)

#: Arguments that are copied.
COPIED = {"offsets", "exponents", "mask", "translation t", "origin", "radius", "sides", "width"}


@contextmanager
def met(see: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Every floating tensor that an argument is given as, and isn't copied, is replaced by what `see` says."""
    plain = checks.as_tensor

    def as_tensor(value: Any, name: str, *args: Any, **named: Any) -> Tensor:
        number = isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())
        own = number and name not in COPIED and not inside
        return plain(see(value) if own else value, name, *args, **named)

    convolution, inside = closed_forms.convolution, []

    def convolved(*args: Any) -> Field | None:
        """A closed form is made of tensors that nobody gave."""
        inside.append(True)
        try:
            return convolution(*args)
        finally:
            inside.pop()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "as_tensor", as_tensor)
        patch.setattr(closed, "convolution", convolved)
        yield


class Tensors:
    """Those that a recipe was given, each once, and the copies that stand for them when it is built again."""

    def __init__(self) -> None:
        self.given: list[Tensor] = []
        self.copies: list[Tensor] = []
        self._turn = 0

    def note(self, value: Tensor) -> Tensor:
        self.given.append(value)
        return value

    @property
    def each(self) -> list[Tensor]:
        return [*{id(v): v for v in self.given}.values()]

    def change(self, only: slice = slice(None)) -> None:
        """Twice as large: widths stay positive, periods periods, covariances positive definite."""
        for value in self.each[only]:
            value.data.mul_(2)
        self.copies = [v.clone() for v in self.given]

    def repeat(self, value: Tensor) -> Tensor:
        self._turn += 1
        return self.copies[self._turn - 1]


def answers(field: Field) -> dict[str, Any]:
    """What a field says at a point, at many, on lattices, and of itself."""
    x = points(field.dim, 40)
    on = Lattice(points(field.dim, 1)[0], (0.5,) * field.dim, (4, 3, 2)[: field.dim])
    own = field.period or (1.0,) * field.dim
    grid = Lattice(on.origin, tuple((p or 1.0) / 20 for p in own), (4, 3, 2)[: field.dim])
    found = {
        "point": field(x[0]),
        "points": field(x),
        "lattice": evaluate(field, on),
        "fine lattice": evaluate(field, grid),
        "integral": known(closed_forms.integral, field),
        "norm": known(closed_forms.paired, field, field),
        "inner": known(closed_forms.paired, field, beside(field)),
        "bandlimit": field.bandlimit,
        "bandwidth": field.bandwidth(1e-6),
        "period": field.period,
        "support": field.support(1e-6),
    }
    waves = torch.eye(field.dim, dtype=torch.float64) / torch.tensor([p or 1.0 for p in own])
    found["transform"] = known(closed_forms.transform, field, waves)
    return found


def beside(field: Field) -> Field:
    """Another one, in a linear combination."""
    amplitudes = torch.ones(1, field.channels, dtype=torch.float64)
    if field.period is None:
        return 2 * Gaussians([[0.2] * field.dim], amplitudes, [0.8])
    return 2 * PlaneWaves([[1 / p if p else 0.0 for p in field.period]], amplitudes)


def known(question: Callable[..., Any], *args: Any) -> Any:
    """The answer, None where waves without a common period have none; of an inner product and its size the former."""
    try:
        found = question(*args)
    except ValueError:
        return None
    return found[0] if isinstance(found, tuple) else found


def check_same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        if isinstance(value, Tensor):
            scale = 1 + float(value.abs().max())
            assert float((found[name] - value).abs().max()) <= 1e-13 * scale, name
        else:
            assert found[name] == value, name


def convolved(leaf: Callable[[Draw], Field], periodic: bool) -> Callable[[Draw], Field]:
    """A convolution in closed form, and one more where the kernel has a period."""

    def build(draw: Draw) -> Field:
        field = leaf(draw).convolve(blur(draw))
        if periodic:
            values = draw.shared(*(3,) * draw.dim, 2, 2)
            field = field.convolve(PeriodicKernel(values, PERIOD[: draw.dim]))
        return (2 * field).translate([0.3, 0.2, 0.1][: draw.dim])

    return build


def tangled(leaf: Callable[[Draw], Field]) -> Callable[[Draw], Field]:
    """All linear nodes, in branches that meet."""

    def build(draw: Draw) -> Field:
        field = leaf(draw)
        moved = (2 * field).translate([0.3, 0.2, 0.1][: draw.dim])
        branch = (moved - field * draw.shared(2)).mix(draw.shared(3, 2))
        total = branch[[2, 0]] + field.mix(draw.shared(2, 2)) / (1.5 + 0.1 * draw.shared(2))
        return total - draw.shared(2) if field.period is not None else total

    return build


def tangled_convolved(leaf: Callable[[Draw], Field]) -> Callable[[Draw], Field]:
    """Convolutions of convolutions with linear nodes between and around."""

    def build(draw: Draw) -> Field:
        field = leaf(draw)
        once = tangled(lambda _: field)(draw).convolve(blur(draw))
        return tangled(lambda _: once + field)(draw).convolve(blur(draw)) * draw.shared(2)

    return build


def images(leaf: Callable[[Draw], Field]) -> Callable[[Draw], Field]:
    return lambda draw: leaf(draw).periodize(PERIOD[: draw.dim])


def of_two_dtypes(draw: Draw) -> Field:
    """Amplitudes in single precision, which stay the caller's, beside centers in double."""
    return Gaussians(
        draw.normal(3, draw.dim), draw.normal(3, 2).float(), 0.7 + 0.2 * draw.shared(3)
    )


#: What the registry of one dtype doesn't have.
MIXED = [
    Kind("Gaussians of two dtypes", of_two_dtypes, decays=True),
    Kind("closed convolution of Gaussians of two dtypes", convolved(of_two_dtypes, False)),
    Kind("linear nodes of Gaussians of two dtypes", tangled(of_two_dtypes)),
    Kind("images of Gaussians of two dtypes", images(of_two_dtypes), periodic=True),
]
CLOSED = [
    Kind(f"closed convolution of {kind.name}", convolved(kind.build, kind.periodic))
    for kind in (*LEAVES, *COMPOSED)
    if kind.name.startswith(("Constant", "Gaussians", "Gabors", "PlaneWaves", "Interpolated, F"))
    or kind.name == "periodized, per axis"
]
IMAGES = [
    Kind("images of Gaussians, covariances", images(gaussians_covariance), periodic=True),
    Kind("images of Boxes", images(boxes), periodic=True),
    Kind("images of what linear nodes make", images(tangled(gaussians)), periodic=True),
    Kind("images of closed convolutions", images(convolved(gaussians, False)), periodic=True),
]
TANGLED = [
    *(
        Kind(f"linear nodes of {kind.name}", tangled(kind.build), dims=kind.dims)
        for kind in (*LEAVES, *IMAGES)
    ),
    *(
        Kind(f"tangled convolutions of {kind.name}", tangled_convolved(kind.build))
        for kind in (*LEAVES, *COMPOSED, *IMAGES)
        if kind.name.startswith(("Constant", "Gaussians", "Gabors, c", "PlaneWaves, all"))
        or kind.name
        in ("Interpolated, Fourier, even", "periodized, per axis", "images of closed convolutions")
    ),
]


@pytest.mark.parametrize(
    ("kind", "dim"),
    [
        pytest.param(kind, dim, id=f"{dim}-{kind}")
        for dim in DIMS
        for kind in [*FIELDS, *INTERPOLANTS, *MIXED, *CLOSED, *IMAGES, *TANGLED]
        if dim in kind.dims
    ],
)
def test_a_field_is_that_of_its_tensors_present_values(kind: Kind, dim: int) -> None:
    tensors = Tensors()
    with met(tensors.note):
        field = kind.build(Draw(dim))
    before = answers(field)  # whatever this keeps
    tensors.change()
    with met(tensors.repeat):
        fresh = kind.build(Draw(dim))
    found, expected = answers(field), answers(fresh)
    check_same(found, expected)
    assert not tensors.given or not torch.equal(before["points"], found["points"])


@pytest.mark.parametrize("kind", [*MIXED, *CLOSED, *IMAGES], ids=str)
def test_every_tensor_counts_by_itself(kind: Kind) -> None:
    """One of them changes: where all do, what is kept is made again though some of them are overlooked."""
    first = Tensors()
    with met(first.note):
        kind.build(Draw(1))
    assert first.each
    for k in range(len(first.each)):
        tensors = Tensors()
        with met(tensors.note):
            field = kind.build(Draw(1))
        answers(field)
        tensors.change(slice(k, k + 1))
        with met(tensors.repeat):
            fresh = kind.build(Draw(1))
        check_same(answers(field), answers(fresh))


@pytest.mark.parametrize("kind", [k for k in modules.LAYERS if k.learnt], ids=str)
def test_what_a_layer_made_follows_its_parameters(kind: modules.Kind) -> None:
    """A field and samples made before a step of training are, or are made again, those after it."""
    layer, x = kind.build(modules.Weights(2)), points(2)
    wave = waves_on_a_grid(Draw(2))
    field, f = layer(wave), sample(wave, modules.grid(2))
    before = field(x), layer(f).values
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.1)
    sum(v.square().sum() for v in (field(x), layer(f).values)).backward()
    optimiser.step()
    fresh = copy.deepcopy(layer)
    with torch.no_grad():
        found = field(x), layer(f).values
        assert not any(map(torch.equal, found, before))
        assert torch.equal(found[0], fresh(wave)(x))
        assert torch.equal(found[1], fresh(f).values)
    gradients = torch.autograd.grad(field(x).sum(), list(layer.parameters()), allow_unused=True)
    again = torch.autograd.grad(fresh(wave)(x).sum(), list(fresh.parameters()), allow_unused=True)
    for one, other in zip(gradients, again, strict=True):
        assert (one is None and other is None) or torch.equal(one, other)


#: Ways to change an array of numbers that torch doesn't count.
UNSEEN: dict[str, Callable[[np.ndarray, Tensor], Any]] = {
    "array": lambda a, t: a.__imul__(3),
    "data": lambda a, t: t.data.mul_(3),
    "storage": lambda a, t: t.untyped_storage().copy_((3 * t).untyped_storage()),
    "numpy": lambda a, t: t.numpy().__imul__(3),
}


@pytest.mark.parametrize("way", UNSEEN)
@pytest.mark.parametrize("method", METHODS)
def test_images_are_those_of_their_memory(method: str, way: str) -> None:
    """So many samples and points that every way of evaluation is taken, inside and outside of inference_mode."""
    array = np.random.default_rng(0).normal(size=(2, 48, 48))
    tensor = torch.from_numpy(array)
    field, fourier = Interpolated(tensor, 1.0, method=method), method == "fourier"
    blurred = (
        field.convolve(GaussianKernel(1.0, [[1.0, 0.5]])) if fourier else field.mix([[2.0, 1.0]])
    )
    generator = torch.Generator().manual_seed(0)
    x = [48 * torch.rand(n, 2, generator=generator, dtype=torch.float64) for n in (1, 100, 5000)]
    start = torch.tensor([0.3, 0.1], dtype=torch.float64)
    lattices = [Lattice(start, (h, h), (n, n)) for h, n in ((1.0, 48), (0.7, 40))]

    def values(f: Field) -> list[Tensor]:
        return [*map(f, x), *(evaluate(f, on) for on in lattices)]

    for inference in (False, True, False):
        with torch.inference_mode(inference):
            before = values(field) + values(blurred)
            UNSEEN[way](array, tensor)
            for found, old in zip(values(field) + values(blurred), before, strict=True):
                assert float((found - 3 * old).abs().max()) <= 1e-11 * float(found.abs().max())
            array /= 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_numbers_beside_a_field_follow_training(dtype: torch.dtype) -> None:
    """What was shifted, divided, moved or placed by a parameter is so by its present value, in either precision."""

    def learnt(*numbers: float) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.tensor(numbers, dtype=dtype))

    wave = PlaneWaves([[0.25]], torch.ones(1, 2, dtype=dtype))
    image = torch.arange(8, dtype=dtype).reshape(2, 4)
    made: dict[str, tuple[torch.nn.Parameter, Callable[[Any], Field]]] = {
        "sum": (learnt(1.0, 2.0), lambda p: wave + p),
        "difference": (learnt(1.0, 2.0), lambda p: wave - p),
        "reversed": (learnt(1.0, 2.0), lambda p: p - wave),
        "product": (learnt(1.0, 2.0), lambda p: wave * p),
        "quotient": (learnt(1.0, 2.0), lambda p: wave / p),
        "translation": (learnt(0.5), lambda p: wave.translate(p)),
        "origin": (learnt(0.5), lambda p: Interpolated(image, (1.0,), p, method="linear")),
        "amplitudes": (
            torch.nn.Parameter(torch.ones(1, 2, dtype=dtype)),
            lambda p: PlaneWaves([[0.25]], p),
        ),
        "constant": (learnt(1.0, 2.0), lambda p: Constant(p, 1)),
    }
    for name, (parameter, make) in made.items():
        field = make(parameter)
        before = field([0.3])
        parameter.data.add_(0.25)
        assert not torch.equal(field([0.3]), before), name
        expected = make(parameter.detach().clone())([0.3])
        assert_close(field([0.3]).detach(), expected, 10, float(expected.abs().max()))


def test_translations_are_told_apart_by_what_they_hold() -> None:
    """F.translate(t) before and after a change of t that torch doesn't count: two translations, not one."""
    line, t = Polynomial([[1]], [[1.0]]), torch.tensor([1.0], dtype=torch.float64)
    first = line.translate(t)
    t.data.fill_(3.0)
    assert (first + line.translate(t))([5.0]).item() == 4.0 + 2.0


def test_arrays_are_copied_everywhere() -> None:
    numbers = np.ones((1, 1))
    line = Polynomial(np.ones((1, 1)), numbers)
    fields = [
        line,
        line * numbers[0],
        line - numbers[0],
        line.mix(numbers),
        line.convolve(GaussianKernel(0.5, numbers)),
        Gaussians(numbers, numbers, numbers[0]),
        PlaneWaves(numbers, numbers),
        Constant(numbers[0], 1),
    ]
    before = [f([0.4]) for f in fields]
    numbers += 1
    for f, old in zip(fields, before, strict=True):
        assert torch.equal(f([0.4]), old)


def test_threads_share_a_field() -> None:
    """Two threads that evaluate a field while it changes get the values of one state or the other."""
    values = torch.ones(1, 32, 32, dtype=torch.float64)
    field, wrong = Interpolated(values, 1.0, method="linear"), []

    def look() -> None:
        for _ in range(50):
            found = float(field([3.0, 4.0]))
            wrong.extend([] if found in (1.0, 2.0) else [found])

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for k in range(50):
        values.data[:, 3, 4] = 1.0 + k % 2
    for thread in threads:
        thread.join()
    assert not wrong
    values.data.fill_(7.0)
    assert field([3.0, 4.0]).item() == 7.0


class Learnt(GaussianKernel):
    """A kernel of somebody's own, whose width is a tensor."""

    def __init__(self, width: Tensor) -> None:
        super().__init__(1.0, torch.eye(2, dtype=width.dtype))
        self.own = {"width": width}

    def profile_transform(self, frequencies: Tensor) -> Tensor:
        return torch.exp(-((self.own["width"] * frequencies) ** 2).sum(-1))


class Own(PlaneWaves):
    """A leaf of somebody's own, whose amplitudes are held in a list."""

    def __init__(self, amplitudes: Tensor) -> None:
        super().__init__([[0.25]], amplitudes)
        self.held = [amplitudes]

    def _convolved(self, kernel: MatrixKernel) -> Field | None:
        return PlaneWaves(self.frequencies, self.held[0])._convolved(kernel)


def test_convolutions_follow_what_kernels_and_leaves_of_ones_own_hold() -> None:
    """Whatever they hold it in: exp(−w²f²) a, w and a changed unseen."""
    width = torch.tensor(1.0, dtype=torch.float64)
    amplitudes = torch.ones(1, 2, dtype=torch.float64)
    field = Own(amplitudes).convolve(Learnt(width))
    image = Interpolated(torch.ones(2, 4, dtype=torch.float64), 1.0)
    again = (image + Own(amplitudes)).convolve(Learnt(width))
    before = field([0.0]), again([0.0])
    width.data.fill_(2.0)
    amplitudes.data.fill_(3.0)
    value = 3 * math.exp(-((2.0 * 0.25) ** 2))
    assert before[0].tolist() == pytest.approx([math.exp(-0.0625)] * 2, rel=1e-14)
    assert field([0.0]).tolist() == pytest.approx([value] * 2, rel=1e-14)
    assert again([0.0]).tolist() == pytest.approx([1 + value] * 2, rel=1e-14)


@pytest.mark.parametrize("leaf", [gaussians, gabors, waves_on_a_grid, constant])
def test_a_convolution_is_of_its_leafs_kind(leaf: Callable[[Draw], Field]) -> None:
    """With the attributes of that kind, as they are now; copied and pickled, too."""
    field, kernel = leaf(Draw(2)), blur(Draw(2))
    found = field.convolve(kernel).convolve(kernel)
    assert isinstance(found, type(field))
    name = "value" if isinstance(field, Constant) else "amplitudes"
    before = getattr(found, name)
    kernel.matrix.data.mul_(2)
    assert_close(getattr(found, name), 4 * before, 10)
    for copied in (copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert isinstance(copied, type(field))
        assert torch.equal(copied(points(2)), found(points(2)))
    assert not hasattr(found, "nothing of this name")


def test_gradients_reach_all_that_a_convolution_is_made_of() -> None:
    """Again after a step, of which nothing remains from before."""
    tensors = [
        torch.nn.Parameter(torch.tensor(v, dtype=torch.float64))
        for v in ([[0.1]], [[1.0, 2.0]], [0.8], [[1.0, 0.5], [0.2, 1.0]], [1.5, 0.5], [0.3])
    ]

    def made(c: Tensor, a: Tensor, w: Tensor, m: Tensor, v: Tensor, t: Tensor) -> Field:
        field = (Gaussians(c, a, w) * v).translate(t)
        return (field + field.mix(m)).convolve(GaussianKernel(0.5, m))

    field = made(*tensors)
    optimiser = torch.optim.SGD(tensors, lr=0.05)
    for _ in range(2):
        fresh = [torch.nn.Parameter(p.detach().clone()) for p in tensors]
        for ask in (lambda f: f([[0.2]]).sum(), lambda f: f.norm(), lambda f: f.integrate().sum()):
            found = torch.autograd.grad(ask(field), tensors, allow_unused=True)
            expected = torch.autograd.grad(ask(made(*fresh)), fresh, allow_unused=True)
            for one, other in zip(found, expected, strict=True):
                assert (one is None and other is None) or torch.equal(one, other)
        optimiser.zero_grad()
        field.norm().backward()
        optimiser.step()


def test_convolutions_of_convolutions_of_any_depth() -> None:
    """w² + 1,000·s² of a Gaussian blurred a thousand times, by kernels that change unseen."""
    widths = torch.tensor([1.0], dtype=torch.float64)
    matrices = [torch.ones(1, 1, dtype=torch.float64) for _ in range(1000)]
    field: Field = Gaussians([[0.0]], [[1.0]], widths)
    for k, matrix in enumerate(matrices):
        field = field.convolve(GaussianKernel(0.02, matrix))
        field = -field if k % 100 == 0 else field
    assert field([0.0]).item() == pytest.approx(1.4**-0.5, rel=1e-12)
    widths.data.fill_(2.0)
    matrices[0].data.fill_(3.0)
    assert field([0.0]).item() == pytest.approx(3 * 2 * 4.4**-0.5, rel=1e-12)
    assert field.norm().item() == pytest.approx(6 * math.pi**0.25 * 4.4**-0.25, rel=1e-12)
    assert torch.equal(pickle.loads(pickle.dumps(field))([0.3]), field([0.3]))
