"""Maps that commute with a group: counted by characters, compared with dense linear algebra and with averages."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
from scipy import sparse

from equivariance import biases, intertwiners, is_convolution
from equivariance.theorems.intertwining import intertwiner_space, translation_matrix

EPS = np.finfo(float).eps
#: shape, c_in, c_out, stride, output_stride
CASES = [
    ((7,), 2, 3, (1,), (1,)),
    ((8,), 1, 2, (2,), (1,)),
    ((8,), 2, 1, (4,), (2,)),
    ((9,), 2, 2, (3,), (3,)),
    ((4, 3), 2, 1, (1, 1), (1, 1)),
    ((4, 6), 1, 2, (2, 3), (1, 1)),
    ((4, 6), 1, 2, (2, 3), (2, 3)),
    ((4, 4), 2, 1, (4, 2), (2, 1)),
    ((2, 3, 4), 1, 2, (1, 1, 1), (1, 1, 1)),
    ((4, 2, 2), 1, 1, (2, 2, 1), (2, 1, 1)),
    ((1, 5), 1, 1, (1, 1), (1, 1)),  # an axis with one point
    ((6,), 1, 1, (4,), (1,)),  # multiples of 4 on a period of 6 are those of 2
    ((16,), 1, 1, (3,), (1,)),  # … and those of 3 on 16 are all
]


def group(shape, stride):
    """All translations by multiples of the stride, each once."""
    steps = [sorted({k * s % n for k in range(n)}) for n, s in zip(shape, stride, strict=True)]
    return list(itertools.product(*steps))


def coarse(values, kept):
    return tuple(v // q for v, q in zip(values, kept, strict=True))


def representations(shape, c_in, c_out, stride, kept):
    """Pairs (P_out, P_in) of all elements of the group, dense."""
    for t in group(shape, stride):
        out = translation_matrix(coarse(shape, kept), c_out, coarse(t, kept))
        yield out.toarray(), translation_matrix(shape, c_in, t).toarray()


@pytest.mark.parametrize("case", CASES)
def test_dimension_by_characters(case):
    """Burnside: the mean of χ_out·χ_in over the group; and the formula for strides that divide the shape."""
    shape, c_in, c_out, stride, kept = case
    characters = [np.trace(q) * np.trace(p) for q, p in representations(*case)]
    space = intertwiners(*case)
    assert space.dimension == sum(characters) / len(characters)
    cosets = math.prod(math.gcd(s, n) // q for s, n, q in zip(stride, shape, kept, strict=True))
    assert space.dimension == math.prod(shape) * c_in * c_out * cosets


@pytest.mark.parametrize("case", CASES)
def test_the_projection_is_the_average_over_the_group(case):
    """… of Q(t)ᵀ M P(t), on a random matrix."""
    pairs = list(representations(*case))
    rows, columns = len(pairs[0][0]), len(pairs[0][1])
    matrix = np.random.default_rng(0).standard_normal((rows, columns))
    mean = sum(q.T @ matrix @ p for q, p in pairs) / len(pairs)
    space = intertwiners(*case)
    np.testing.assert_allclose(space.project(matrix), mean, atol=64 * EPS)
    np.testing.assert_allclose(
        space.project(sparse.csr_array(matrix)).toarray(), mean, atol=64 * EPS
    )
    expected = np.linalg.norm(matrix - mean) / np.linalg.norm(matrix)
    assert space.residue(matrix) == pytest.approx(expected, rel=1e-12, abs=64 * EPS)
    assert space.residue(mean) <= 64 * EPS


@pytest.mark.parametrize(
    "case", [c for c in CASES if math.prod(c[0]) ** 2 * c[1] * c[2] <= 200] + [CASES[3]]
)
def test_the_dense_null_space_is_the_same(case):
    """The constraints of all translations, not only of generators, as one dense matrix."""
    pairs = list(representations(*case))
    rows, columns = len(pairs[0][0]), len(pairs[0][1])
    equations = [np.kron(q, np.eye(columns)) - np.kron(np.eye(rows), p.T) for q, p in pairs]
    dense = scipy.linalg.null_space(np.concatenate(equations), rcond=1e-10)
    basis = intertwiners(*case).basis.toarray()
    assert basis.shape == dense.T.shape
    np.testing.assert_allclose(basis.T @ basis, dense @ dense.T, atol=1e4 * EPS)


@pytest.mark.parametrize("case", CASES)
def test_basis_elements_commute_exactly_and_are_orthonormal(case):
    space = intertwiners(*case)
    gram = (space.basis @ space.basis.T).toarray()
    np.testing.assert_allclose(gram, np.eye(space.dimension), atol=16 * EPS)
    pairs = list(representations(*case))
    for matrix in itertools.islice(space, 40):
        for q, p in pairs:
            np.testing.assert_array_equal(q @ matrix.toarray(), matrix.toarray() @ p)


def test_a_dense_basis_that_would_not_fit():
    """16×16, 2 → 3 channels: 4.8 GB dense."""
    space = intertwiners((16, 16), 2, 3)
    rows, columns = space.matrix_shape
    assert space.dimension == len(space) == 16 * 16 * 2 * 3
    assert 8 * space.dimension * rows * columns > 4.8e9
    assert space.basis.nnz == rows * columns, "every pair (output, input) is in one orbit"
    assert np.all(np.diff(space.basis.indptr) == 256)


def test_translation_matrix_moves_values():
    values = np.random.default_rng(0).standard_normal((2, 3, 4, 5))
    moved = translation_matrix((3, 4, 5), 2, (1, -3, 7)) @ values.ravel()
    np.testing.assert_array_equal(
        moved.reshape(values.shape), np.roll(values, (1, -3, 7), axis=(1, 2, 3))
    )


def test_elements_and_combinations():
    space = intertwiners((3, 2), 1, 2)
    draw = np.random.default_rng(0).standard_normal(space.dimension)
    total = sum(c * space[i].toarray() for i, c in enumerate(draw))
    np.testing.assert_allclose(space.combine(draw).toarray(), total, atol=8 * EPS)
    np.testing.assert_array_equal(space[-1].toarray(), space[space.dimension - 1].toarray())
    assert len(list(space)) == space.dimension
    assert repr(space) == "Intertwiners(dimension=12, 12×6 matrices)"


# --- other groups and representations -----------------------------------------------------------------------------


def rotation(angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, -s], [s, c]])


def test_schur():
    """Real rotations of the plane: maps a + b·i from one to itself, none between different ones."""
    first, second = rotation(2 * math.pi / 5), rotation(4 * math.pi / 5)
    own = intertwiner_space([first], [first])
    assert own.dimension == 2
    assert own.residue(np.eye(2)) <= 64 * EPS
    assert own.residue(rotation(1.0)) <= 64 * EPS
    assert own.residue([[1.0, 0.0], [0.0, -1.0]]) == pytest.approx(1)
    other = intertwiner_space([first], [second])
    assert other.dimension == 0
    assert other.residue(np.ones((2, 2))) == 1


def test_signs():
    """Odd maps between even functions and odd ones, under the reflection of a circle of 6 points."""
    mirror = np.eye(6)[[0, 5, 4, 3, 2, 1]]
    same = intertwiner_space([mirror], [mirror])
    odd = intertwiner_space([mirror], [-mirror])
    assert (same.dimension, odd.dimension) == ((36 + 4) / 2, (36 - 4) / 2)
    both = sparse.vstack([same.basis, odd.basis])
    np.testing.assert_allclose((both @ both.T).toarray(), np.eye(36), atol=64 * EPS)


def test_translations_and_quarter_turns():
    """p4 on 4×4 points: the kernels that are left are symmetric; counted by the characters of all 64 elements."""
    index = np.arange(16).reshape(4, 4)
    turn = np.eye(16)[np.rot90(index).ravel()]
    moves = [translation_matrix((4, 4), 1, t).toarray() for t in ((1, 0), (0, 1))]
    space = intertwiner_space([*moves, turn], [*moves, turn])
    elements = [
        np.linalg.matrix_power(turn, k) @ translation_matrix((4, 4), 1, t)
        for k in range(4)
        for t in group((4, 4), (1, 1))
    ]
    assert space.dimension == sum(np.trace(g) ** 2 for g in elements) / 64
    assert space.dimension < 16
    assert all(is_convolution(matrix, (4, 4)) for matrix in space)


def test_half_a_sample_by_fourier():
    """Commuting with one dense translation by half a sample implies all whole ones: circulants again."""
    frequencies = np.fft.fftfreq(7, 1 / 7)
    phases = np.exp(-1j * math.pi * frequencies / 7)[:, None]
    half = np.fft.ifft(phases * np.fft.fft(np.eye(7), axis=0), axis=0).real
    space = intertwiner_space([half], [half])
    assert space.dimension == 7
    for matrix in intertwiners(7, 1, 1):
        assert space.residue(matrix) <= 1e3 * EPS


# --- biases ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "channels", "stride", "dimension"),
    [(5, 1, 1, 1), ((4, 6), 3, 1, 3), ((4, 6), 3, (2, 3), 18), ((2, 4, 6), 2, 2, 16)],
)
def test_biases(shape, channels, stride, dimension):
    space = biases(shape, channels, stride)
    assert space.dimension == dimension
    sizes = np.atleast_1d(shape)
    draw = np.random.default_rng(0).standard_normal((channels, *sizes))
    shared = space.project(draw.reshape(-1, 1)).reshape(draw.shape)
    steps = np.broadcast_to(stride, len(sizes))
    for phase in itertools.product(*map(range, steps)):
        coset = (slice(None), *(slice(p, None, s) for p, s in zip(phase, steps, strict=True)))
        means = draw[coset].mean(axis=tuple(range(1, draw.ndim)), keepdims=True)
        np.testing.assert_allclose(shared[coset], means + 0 * shared[coset], atol=32 * EPS)


def test_linear_invariants_are_sums():
    """Intertwiners to the trivial representation: one global mean per channel."""
    moves = [translation_matrix((3, 4), 2, t) for t in ((1, 0), (0, 1))]
    space = intertwiner_space(moves, [np.eye(1)] * 2)
    assert space.dimension == 2
    assert space.residue(np.repeat([[1.0, -2.0]], 12, axis=0).T.reshape(1, 24)) <= 16 * EPS


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((2, 2, 2, 2), 1, 1), "1, 2 or 3 axes"),
        (((4, 0), 1, 1), "shape must be integers of at least 1"),
        ((4, 0, 1), "c_in must be integers of at least 1"),
        ((4, 1, 1.5), "c_out must be integers"),
        ((4, 1, 1, 0), "stride must be integers of at least 1"),
        ((4, 1, 1, (2, 2)), "stride must be a number or 1 numbers"),
        ((5, 1, 1, 2, 2), "sizes that work are 4 or 6"),
        ((4, 1, 1, 1, 2), "multiple of output_stride"),
        (((64, 64), 3, 8), "GiB, of 1.0 allowed: take a smaller grid"),
        ((float("nan"), 1, 1), "finite"),
    ],
)
def test_bad_spaces(arguments, message):
    with pytest.raises(ValueError, match=message):
        intertwiners(*arguments)


def test_bad_matrices():
    space = intertwiners(4, 1, 1)
    with pytest.raises(ValueError, match=r"shape \(4, 4\), got \(4, 3\)"):
        space.project(np.ones((4, 3)))
    with pytest.raises(ValueError, match="finite"):
        space.residue(np.full((4, 4), np.inf))
    with pytest.raises(ValueError, match="no relative residue"):
        space.residue(np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"one coefficient per basis element, shape \(4,\)"):
        space.combine([1.0])
    with pytest.raises(TypeError, match="matrix must be real, got complex128"):
        space.residue(sparse.eye_array(4, dtype=complex))
    with pytest.raises(IndexError, match="basis element 4"):
        space[4]


def test_bad_representations():
    with pytest.raises(ValueError, match="at least one generator"):
        intertwiner_space([], [np.eye(2)])
    with pytest.raises(ValueError, match="a matrix for each generator, got 1 and 2"):
        intertwiner_space([np.eye(2)], [np.eye(2)] * 2)
    with pytest.raises(ValueError, match="outputs: expected square matrices"):
        intertwiner_space([np.eye(2)], [np.ones((2, 3))])
    with pytest.raises(ValueError, match="expected a matrix of shape"):
        intertwiner_space([np.ones(3)], [np.eye(2)])
    with pytest.raises(ValueError, match="made of integers"):
        translation_matrix(4, 1, 0.5)


@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_residues_are_free_of_scale(scale: float) -> None:
    """Also where squares of the entries overflow; of 1 + 0.5·E₀₁ on 4 points: ‖0.5·E₀₁ − 0.125·T₁‖/‖M‖."""
    matrix = np.eye(4)
    matrix[0, 1] = 0.5
    expected = math.sqrt((0.375**2 + 3 * 0.125**2) / 4.25)
    assert intertwiners(4, 1, 1).residue(scale * matrix) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("memory", [None, "a", [], [1, 2], 0, -1.0])
def test_a_bound_on_memory_is_a_number_of_bytes(memory: object) -> None:
    for call in (
        lambda: intertwiners(4, 1, 1, memory=memory),
        lambda: intertwiner_space([np.eye(2)], [np.eye(2)], memory=memory),
    ):
        with pytest.raises((ValueError, TypeError), match="memory must be a number"):
            call()
