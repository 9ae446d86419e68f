"""The linear maps that commute with translations, as the null space of that condition. Convolution isn't assumed.

A feature map on the periodic grid Z_N1 × … × Z_Nd is a vector of c·N1…Nd numbers, channels before space as in
`Samples.values`; a translation is a permutation matrix P(t) of them. A linear map L commutes with it where

    P_out(t) L − L P_in(t) = 0,

linear equations in the entries of L, one set for each generator of the group of translations. Every equation says that
two entries are equal, and so an orthonormal basis has one matrix per orbit of pairs (output, input): 1/√n on the
orbit's n pairs.

Kondor & Trivedi, "On the Generalization of Equivariance and Convolution in Neural Networks to the Action of Compact
Groups", ICML 2018, prove what is computed here: for all translations, the null space is that of the convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from discretize.grid import divides
from equivariance.theorems.matrices import null_space
from fields import arguments, checks
from fields.accuracy import MEMORY_BOUND

#: Bytes alive at once per unknown and generator while constraints and their graph are built.
BYTES_PER_UNKNOWN = 250


@dataclass(frozen=True, eq=False)
class Intertwiners:
    """A space of matrices with an orthonormal sparse basis: iterating over it gives the basis as matrices.

    Attributes
    ----------
    basis : scipy.sparse.csr_array, shape (dimension, rows·columns)
        One matrix per row, flattened row by row; orthonormal in the Frobenius inner product.
    matrix_shape : tuple of int
        (rows, columns).
    """

    basis: sparse.csr_array
    matrix_shape: tuple[int, int]

    @property
    def dimension(self) -> int:
        """Number of independent maps."""
        return int(self.basis.shape[0])

    def __len__(self) -> int:
        return self.dimension

    def __repr__(self) -> str:
        rows, columns = self.matrix_shape
        return f"Intertwiners(dimension={self.dimension}, {rows}×{columns} matrices)"

    def __getitem__(self, index: int) -> sparse.csr_array:
        """One basis element, shape (rows, columns)."""
        if not -self.dimension <= index < self.dimension:
            raise IndexError(f"basis element {index} of a space of dimension {self.dimension}")
        return self.basis[[index % self.dimension]].reshape(self.matrix_shape).tocsr()

    def __iter__(self) -> Iterator[sparse.csr_array]:
        return (self[index] for index in range(self.dimension))

    def combine(self, coefficients: Any) -> sparse.csr_array:
        """Σ_i coefficients_i · basis_i, shape (rows, columns)."""
        vector = as_array(coefficients, "coefficients")
        if vector.shape != (self.dimension,):
            raise ValueError(
                f"expected one coefficient per basis element, shape ({self.dimension},), "
                f"got {vector.shape}"
            )
        return (sparse.csr_array(vector[None]) @ self.basis).reshape(self.matrix_shape).tocsr()

    def project(self, matrix: Any) -> Any:
        """Orthogonal projection of a matrix on the space: its part that commutes; dense or sparse as it came."""
        flat = as_matrix(matrix, self.matrix_shape).reshape((1, -1))
        return ((flat @ self.basis.T) @ self.basis).reshape(self.matrix_shape)

    def residue(self, matrix: Any) -> float:
        """‖M − project(M)‖/‖M‖ in the Frobenius norm: 0 where M commutes, 1 where none of it does."""
        whole = as_matrix(matrix, self.matrix_shape)
        largest = float(abs(whole).max())
        if largest == 0:
            raise ValueError("the zero matrix has no relative residue: it lies in every space")
        scaled = whole / largest  # of which no square overflows or underflows
        return _norm(scaled - self.project(scaled)) / _norm(scaled)


def intertwiners(
    shape: Any,
    c_in: int,
    c_out: int,
    stride: Any = 1,
    output_stride: Any = 1,
    memory: int = MEMORY_BOUND,
) -> Intertwiners:
    """All linear maps between feature maps on a periodic grid that commute with translations.

    Parameters
    ----------
    shape : int or sequence of int
        N1, …, Nd, d = 1, 2, 3.
    c_in, c_out : int
        Channels.
    stride : int or sequence of int
        The translations are the multiples of it. On a period of N these are the multiples of gcd(stride, N).
    output_stride : int or sequence of int
        The output lives on every output_stride-th point. It divides the shape and `stride`, since other translations
        move the output's points off themselves.
    memory : int
        Bound on the constraints, in bytes.

    Returns
    -------
    Intertwiners
        Of matrices (c_out·M1…Md, c_in·N1…Nd), M = N/output_stride, on flattened `Samples.values`.

    Notes
    -----
    Its dimension is ∏N·c_in·c_out·∏(gcd(stride, N)/output_stride). For stride 1 these are the entries of one kernel
    K(y) ∈ R^{c_out × c_in}, for stride = output_stride too: a convolution, then every s-th sample. For stride s on the
    same grid there is one kernel for each of the s^d cosets of output points; see `coset_kernels`.

    Examples
    --------
    >>> from equivariance import intertwiners, is_convolution
    >>> space = intertwiners((4, 3), c_in=2, c_out=1)
    >>> space.dimension, all(is_convolution(matrix, (4, 3)) for matrix in space)
    (24, True)
    >>> intertwiners((4, 4), 2, 1, stride=2).dimension / intertwiners((4, 4), 2, 1).dimension
    4.0
    """
    memory = arguments.size(memory)
    sizes, steps = periodic(shape, stride)
    kept = checks.integers(output_stride, len(sizes), "output_stride")
    divides(kept, sizes, "periodic")
    if any(s % q for s, q in zip(steps, kept, strict=True)):
        raise ValueError(
            f"translations by {steps} don't act on an output that keeps every {kept}-th point: "
            f"take a stride that is a multiple of output_stride = {kept}"
        )
    (ins,), (outs,) = checks.integers(c_in, 1, "c_in"), checks.integers(c_out, 1, "c_out")
    coarse = tuple(n // q for n, q in zip(sizes, kept, strict=True))
    on_output = [s // q for s, q in zip(steps, kept, strict=True)]
    _check_memory(outs * math.prod(coarse) * ins * math.prod(sizes), len(sizes), memory)
    return intertwiner_space(
        generators(sizes, ins, steps), generators(coarse, outs, on_output), memory
    )


def biases(shape: Any, channels: int, stride: Any = 1) -> Intertwiners:
    """All bias fields b with t▷b = b: intertwiners from the trivial representation.

    Parameters
    ----------
    shape : int or sequence of int
    channels : int
    stride : int or sequence of int
        The translations are the multiples of it.

    Returns
    -------
    Intertwiners
        Of matrices (channels·N1…Nd, 1): one constant per channel, and per coset of the stride.

    Examples
    --------
    >>> from equivariance import biases
    >>> biases((8, 8), channels=3).dimension, biases((8, 8), channels=3, stride=2).dimension
    (3, 12)
    """
    sizes, steps = periodic(shape, stride)
    (count,) = checks.integers(channels, 1, "channels")
    moves = generators(sizes, count, steps)
    return intertwiner_space([sparse.eye_array(1)] * len(moves), moves)


def intertwiner_space(
    inputs: Sequence[Any], outputs: Sequence[Any], memory: int = MEMORY_BOUND
) -> Intertwiners:
    """All matrices L with outputs[g] @ L = L @ inputs[g] for every generator g of a group.

    Parameters
    ----------
    inputs, outputs : sequence of sparse arrays or array-like, each (columns, columns) or (rows, rows)
        Two representations, by the matrices of the same generators: permutations, or any real matrices. The latter
        cost a dense singular value decomposition of each block of linked entries.
    memory : int
        Bound on a dense block, in bytes.

    Examples
    --------
    >>> from equivariance.theorems.intertwining import intertwiner_space
    >>> quarter_turn = [[0, -1], [1, 0]]
    >>> intertwiner_space([quarter_turn], [quarter_turn]).dimension   # a + b·i
    2
    """
    memory = arguments.size(memory)
    ins, outs = _representation(inputs, "inputs"), _representation(outputs, "outputs")
    if len(ins) != len(outs):
        raise ValueError(
            f"both representations need a matrix for each generator, got {len(ins)} and {len(outs)}"
        )
    rows, columns = outs[0].shape[0], ins[0].shape[0]
    right, left = sparse.eye_array(columns, format="csr"), sparse.eye_array(rows, format="csr")
    constraints = [
        sparse.kron(q, right, format="csr") - sparse.kron(left, p.T, format="csr")
        for p, q in zip(ins, outs, strict=True)
    ]
    return Intertwiners(null_space(sparse.vstack(constraints), memory), (rows, columns))


def translation_matrix(shape: Any, channels: int, t: Any) -> sparse.csr_array:
    """The permutation matrix P with (P f)(x) = f(x − t), on flattened values (c, X1, …, Xd) of a periodic grid.

    Examples
    --------
    >>> import numpy as np
    >>> from equivariance.theorems.intertwining import translation_matrix
    >>> (translation_matrix(4, 1, 1) @ np.arange(4)).tolist()
    [3.0, 0.0, 1.0, 2.0]
    """
    sizes, _ = periodic(shape, 1)
    (channels,) = checks.integers(channels, 1, "channels")
    arguments.affordable(channels * math.prod(sizes), "this matrix", 64)
    steps = checks.per_axis(t, len(sizes), "translation t")
    if any(s != round(s) for s in steps):
        raise ValueError(f"a translation of an array is made of integers, got {checks.said(t)}")
    index = np.arange(channels * math.prod(sizes)).reshape(channels, *sizes)
    source = np.roll(index, [round(s) for s in steps], axis=tuple(range(1, index.ndim))).ravel()
    entries = (np.ones(index.size), (np.arange(index.size), source))
    return sparse.coo_array(entries, shape=(index.size, index.size)).tocsr()


def generators(
    shape: tuple[int, ...], channels: int, steps: Sequence[int]
) -> list[sparse.csr_array]:
    """The translations by one step along each axis, which generate the group of all multiples."""
    along = np.diag(np.asarray(steps))
    return [translation_matrix(shape, channels, t) for t in along]


def periodic(shape: Any, stride: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The checked sizes and stride of a periodic grid."""
    several = checks.counts(shape, "shape")
    sizes = several if isinstance(several, tuple) else (several,)
    arguments.affordable(math.prod(sizes), "a grid of this shape")
    return sizes, checks.integers(stride, len(sizes), "stride")


def as_array(value: Any, name: str) -> np.ndarray:
    """Finite real numbers in float64."""
    array: np.ndarray = checks.as_tensor(value, name).detach().cpu().double().numpy()
    return array


def as_matrix(matrix: Any, shape: tuple[int, int] | None = None) -> Any:
    """A finite real matrix in float64, dense or sparse as it came."""
    if sparse.issparse(matrix) and matrix.dtype.kind not in "fiub":
        raise TypeError(f"matrix must be real, got {matrix.dtype}")
    whole = sparse.csr_array(matrix) if sparse.issparse(matrix) else as_array(matrix, "matrix")
    if whole.ndim != 2 or (shape is not None and whole.shape != shape):
        raise ValueError(f"expected a matrix of shape {shape or '(m, n)'}, got {whole.shape}")
    if not bool(np.isfinite(whole.data if sparse.issparse(whole) else whole).all()):
        raise ValueError("the matrix must be finite, got NaN or infinite entries")
    return whole.astype(np.float64, copy=False)


def _representation(matrices: Sequence[Any], name: str) -> list[sparse.csr_array]:
    checked = [
        sparse.csr_array(as_matrix(m)) for m in arguments.sequence(matrices, name, "matrices")
    ]
    if not checked:
        raise ValueError(f"{name}: a group needs at least one generator, got none")
    sizes = {m.shape for m in checked}
    if len(sizes) > 1 or checked[0].shape[0] != checked[0].shape[1]:
        raise ValueError(f"{name}: expected square matrices of one size, got {sorted(sizes)}")
    return checked


def _check_memory(unknowns: int, moves: int, memory: int) -> None:
    needed = BYTES_PER_UNKNOWN * unknowns * moves
    if needed > memory:
        raise ValueError(
            f"{unknowns} entries under {moves} generators take about {needed / 2**30:.1f} GiB, of "
            f"{memory / 2**30:.1f} allowed: take a smaller grid, fewer channels, or a larger memory=…"
        )


def _norm(matrix: Any) -> float:
    return float(np.linalg.norm(matrix.data if sparse.issparse(matrix) else matrix))
