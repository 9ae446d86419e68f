"""The null space of sparse constraints, against SciPy's dense one and solutions written down by hand."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from equivariance.theorems.matrices import null_space

EPS = np.finfo(float).eps


def projector(basis) -> np.ndarray:
    rows = basis.toarray() if sparse.issparse(basis) else basis
    return rows.T @ rows


def assert_null_space(a: np.ndarray) -> None:
    """Orthonormal, annihilated, and the same space as the dense one."""
    basis = null_space(a)
    dense = scipy.linalg.null_space(a, rcond=1e-10).T
    assert basis.shape == dense.shape
    count = len(dense)
    np.testing.assert_allclose(
        (basis @ basis.T).toarray(), np.eye(count), atol=64 * EPS * a.shape[1]
    )
    np.testing.assert_allclose(projector(basis), projector(dense), atol=1e3 * EPS * a.shape[1])


@pytest.mark.parametrize(
    ("constraints", "space"),
    [
        ([[1, -1, 0], [0, 1, -1]], [[1, 1, 1]]),  # all equal
        ([[2, -2, 0]], [[1, 1, 0], [0, 0, 1]]),  # a scaled equality, and a free unknown
        ([[1, 1, 0]], [[1, -1, 0], [0, 0, 1]]),  # an antisymmetry is no equality
        ([[0, 0, 0]], np.eye(3)),
        ([[0, 3, 0]], [[1, 0, 0], [0, 0, 1]]),
        ([[1, -1, 0], [1, 1, 0], [0, 0, 1]], np.zeros((0, 3))),  # nothing but 0
        ([[1, -1, 0, 0], [1, -2, 1, 0]], [[1, 1, 1, 0], [0, 0, 0, 1]]),
        ([[1, -1, 0], [1, -1, 0]], [[1, 1, 0], [0, 0, 1]]),  # said twice
    ],
)
def test_by_hand(constraints, space):
    basis = null_space(constraints)
    rows = scipy.linalg.orth(np.asarray(space, dtype=float).T).T if len(space) else np.zeros((0, 3))
    assert basis.shape == rows.shape
    np.testing.assert_allclose(projector(basis), projector(rows), atol=8 * EPS)


@given(
    st.integers(0, 10**6),
    st.integers(1, 12),
    st.integers(1, 12),
    st.floats(0.05, 0.6),
)
def test_random_sparse_constraints(seed, rows, columns, density):
    """Small integers: ranks are clear-cut, and many rows are equalities by chance."""
    draw = np.random.default_rng(seed)
    signs = draw.integers(-1, 2, (rows, columns))
    assert_null_space(np.where(draw.random((rows, columns)) < density, signs, 0).astype(float))


def test_equalities_beside_dense_blocks():
    """Blocks of both kinds, shuffled so that their unknowns lie between each other."""
    draw = np.random.default_rng(0)
    equal = np.eye(6) - np.roll(np.eye(6), 1, axis=1)
    dense = draw.standard_normal((3, 5))
    deficient = draw.standard_normal((4, 2)) @ draw.standard_normal((2, 4))
    a = scipy.linalg.block_diag(equal, dense, deficient, equal)[:, draw.permutation(21)]
    a = a[draw.permutation(len(a))]
    assert null_space(a).shape[0] == 1 + 2 + 2 + 1
    assert_null_space(a)


def test_vectors_of_different_blocks_share_no_unknown():
    basis = null_space([[1, -1, 0, 0, 0], [0, 0, 1, 1, 0]])
    support = (basis.toarray() != 0).sum(axis=0)
    assert support.tolist() == [1, 1, 1, 1, 1]


def test_entries_given_twice_are_summed_and_the_input_stays():
    places = ([1.0, 1.0, -2.0], [0, 0, 1], [0, 3])
    given_twice = sparse.csr_array(places, shape=(1, 2))
    before = given_twice.data.copy()
    basis = null_space(given_twice)
    np.testing.assert_allclose(np.abs(basis.toarray()), [[2**-0.5, 2**-0.5]], rtol=4 * EPS)
    np.testing.assert_array_equal(given_twice.data, before)


def test_a_long_chain_of_equalities_is_exact():
    """100,000 linked unknowns: no arithmetic, so no rounding in the dimension."""
    n = 100_000
    chain = sparse.eye_array(n - 1, n) - sparse.eye_array(n - 1, n, k=1)
    basis = null_space(chain)
    assert basis.shape == (1, n)
    assert set(basis.data) == {1 / np.sqrt(n)}


def test_bad_constraints():
    with pytest.raises(TypeError, match="must be real"):
        null_space(np.eye(2) * 1j)
    with pytest.raises(ValueError, match="finite"):
        null_space([[1.0, np.nan]])
    with pytest.raises(ValueError, match=r"2 linked constraints on 3 unknowns.*larger memory"):
        null_space([[1, 1, 0], [0, 1, 1]], memory=100)
