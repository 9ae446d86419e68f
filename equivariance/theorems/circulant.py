"""Matrices of convolutions on a periodic grid: from a kernel, and back to it.

On flattened `Samples.values` a convolution is the block circulant L[(o, x), (i, z)] = K(x − z)[o, i]. A map that only
commutes with translations by multiples of s has one such kernel for each coset of output points,

    L[(o, x), (i, z)] = K_{x mod s}(x − z)[o, i],

which is how a strided network treats its polyphase components.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import sparse

from discretize.grid import divides
from equivariance.theorems.intertwining import as_array, as_matrix, periodic
from fields import arguments, checks

#: A rectangle of outputs and inputs: (output sizes, input sizes, strides of the output, cosets per axis).
_Layout = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...]]


def convolution_matrix(kernel: Any, shape: Any, output_stride: Any = 1) -> sparse.csr_array:
    """The matrix of a periodic convolution, followed by a stride.

    Parameters
    ----------
    kernel : array-like, shape (S1, …, Sd, out, in)
        As for `Conv.from_array`: tap i at i − (S − 1)/2. Sizes are odd, so that outputs lie on grid points; kernels
        wider than the period fold.
    shape : int or sequence of int
        N1, …, Nd.
    output_stride : int or sequence of int
        Every how manyth output is kept; it divides the shape.

    Returns
    -------
    scipy.sparse.csr_array, shape (out·M1…Md, in·N1…Nd), M = N/output_stride

    Examples
    --------
    >>> from equivariance import convolution_matrix
    >>> convolution_matrix([[[1.0]], [[2.0]], [[0.0]]], 3).toarray().tolist()   # K(−1) = 1, K(0) = 2
    [[2.0, 1.0, 0.0], [0.0, 2.0, 1.0], [1.0, 0.0, 2.0]]
    """
    taps, dim = as_array(kernel, "kernel"), len(periodic(shape, 1)[0])
    if taps.ndim != dim + 2:
        raise ValueError(
            f"on a grid with {dim} axes a kernel has shape (S1, …, S{dim}, out, in), got {taps.shape}"
        )
    return coset_matrix(taps[(None,) * dim], shape, output_stride)


def convolution_kernel(matrix: Any, shape: Any, output_stride: Any = 1) -> np.ndarray:
    """The kernel of the convolution that is nearest to a matrix in the Frobenius norm.

    Parameters
    ----------
    matrix : array-like or sparse array, shape (out·M1…Md, in·N1…Nd)
        On flattened `Samples.values`.
    shape : int or sequence of int
        N1, …, Nd.
    output_stride : int or sequence of int
        N/M.

    Returns
    -------
    ndarray, shape (S1, …, Sd, out, in)
        For `Conv.from_array(kernel, spacing)`, centred: S is N for odd N, and N + 1 with a last row of zeros for even.

    Examples
    --------
    >>> import numpy as np
    >>> from equivariance import convolution_kernel
    >>> convolution_kernel(np.eye(5), 5).ravel().tolist()
    [0.0, 0.0, 1.0, 0.0, 0.0]
    """
    kernels = coset_kernels(matrix, shape, output_stride, output_stride)
    whole: np.ndarray = kernels[(0,) * (kernels.ndim // 2 - 1)]
    return whole


def is_convolution(matrix: Any, shape: Any, output_stride: Any = 1) -> bool:
    """Whether a matrix is that of a convolution (followed by a stride): a block circulant.

    It is compared with the matrix of its `convolution_kernel`, to rounding of a mean over all output points.

    Examples
    --------
    >>> import numpy as np
    >>> from equivariance import is_convolution
    >>> is_convolution(np.roll(np.eye(5), 1, axis=0), 5), is_convolution(np.diag(range(5)), 5)
    (True, False)
    """
    given = sparse.csr_array(as_matrix(matrix))
    rebuilt = convolution_matrix(
        convolution_kernel(given, shape, output_stride), shape, output_stride
    )
    bound = math.prod(periodic(shape, 1)[0]) * np.finfo(np.float64).eps * abs(given).max()
    return bool(abs(given - rebuilt).max() <= bound)


def coset_kernels(matrix: Any, shape: Any, stride: Any, output_stride: Any = 1) -> np.ndarray:
    """One kernel for each coset of output points: the polyphase parts of a map that commutes with multiples of s.

    Parameters
    ----------
    matrix, shape, output_stride
        As for `convolution_kernel`.
    stride : int or sequence of int
        s, a multiple of output_stride, a divisor of the shape.

    Returns
    -------
    ndarray, shape (m1, …, md, S1, …, Sd, out, in), m = stride/output_stride
        K_a(y), the mean of the entries L[(o, x), (i, x − y)] over the output points x ≡ a·output_stride mod s.

    Examples
    --------
    >>> import numpy as np
    >>> from equivariance import coset_kernels
    >>> coset_kernels(np.diag([1.0, 2.0, 1.0, 2.0]), 4, stride=2)[:, :, 0, 0].tolist()
    [[0.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0, 0.0]]
    """
    outs, ins, kept, cosets = _layout(shape, stride, output_stride)
    given = sparse.coo_array(as_matrix(matrix))
    if any(n % math.prod(of) for n, of in zip(given.shape, (outs, ins), strict=True)):
        raise ValueError(
            f"a map from samples of shape {ins} to samples of shape {outs} has a matrix of "
            f"(out·{math.prod(outs)}, in·{math.prod(ins)}) entries, got {given.shape}"
        )
    out, *k = np.unravel_index(given.coords[0], (given.shape[0] // math.prod(outs), *outs))
    into, *z = np.unravel_index(given.coords[1], (given.shape[1] // math.prod(ins), *ins))
    taps = [
        (q * a - b + n // 2) % n for q, a, b, n in zip(kept, k, z, ins, strict=True)
    ]  # the first tap is −⌊N/2⌋
    coset = [a % m for a, m in zip(k, cosets, strict=True)]
    sizes = tuple(n | 1 for n in ins)
    channels = (given.shape[0] // math.prod(outs), given.shape[1] // math.prod(ins))
    arguments.affordable(math.prod((*cosets, *sizes, *channels)), "these kernels")
    kernels = np.zeros((*cosets, *sizes, *channels))
    np.add.at(kernels, (*coset, *taps, out, into), given.data)
    return kernels * (math.prod(cosets) / math.prod(outs))


def coset_matrix(kernels: Any, shape: Any, output_stride: Any = 1) -> sparse.csr_array:
    """The matrix of a map with one kernel for each coset of output points: the inverse of `coset_kernels`.

    Parameters
    ----------
    kernels : array-like, shape (m1, …, md, S1, …, Sd, out, in)
        Sizes S are odd. Output point k, at k·output_stride, takes the kernel k mod m.
    shape, output_stride
        As for `convolution_matrix`.

    Examples
    --------
    >>> import numpy as np
    >>> from equivariance import coset_matrix
    >>> coset_matrix(np.array([1.0, 2.0]).reshape(2, 1, 1, 1), 4).toarray().diagonal().tolist()
    [1.0, 2.0, 1.0, 2.0]
    """
    taps, dim = as_array(kernels, "kernels"), len(periodic(shape, 1)[0])
    if taps.ndim != 2 * dim + 2 or 0 in taps.shape:
        raise ValueError(
            f"on a grid with {dim} axes kernels have shape (m1, …, m{dim}, S1, …, S{dim}, out, in), none of it 0, "
            f"m cosets per axis; got {taps.shape}"
        )
    if any(size % 2 == 0 for size in taps.shape[dim:-2]):
        raise ValueError(
            f"kernel sizes must be odd, got {taps.shape[dim:-2]}: an even one puts its outputs "
            "between the grid's points; append a row of zeros to keep them on it"
        )
    kept = checks.integers(output_stride, dim, "output_stride")
    steps = [q * m for q, m in zip(kept, taps.shape[:dim], strict=True)]
    outs, ins, _, cosets = _layout(shape, steps, kept)
    return _placed(taps, outs, ins, kept, cosets)


def _placed(
    taps: np.ndarray,
    outs: tuple[int, ...],
    ins: tuple[int, ...],
    kept: tuple[int, ...],
    cosets: tuple[int, ...],
) -> sparse.csr_array:
    """Every nonzero tap at each of its coset's output points."""
    dim = len(ins)
    *index, out, into = np.nonzero(taps)
    values = taps[(*index, out, into)][:, None]
    repeats = [n // m for n, m in zip(outs, cosets, strict=True)]
    arguments.affordable(len(values) * math.prod(repeats), "the entries of this matrix", 48)
    blocks = np.indices(repeats).reshape(dim, -1)
    row, column = out[:, None], into[:, None]
    for axis, (n_out, n_in, q, m) in enumerate(zip(outs, ins, kept, cosets, strict=True)):
        k = index[axis][:, None] + m * blocks[axis]
        y = index[dim + axis][:, None] - taps.shape[dim + axis] // 2
        row, column = row * n_out + k, column * n_in + (q * k - y) % n_in
    size = (taps.shape[-2] * math.prod(outs), taps.shape[-1] * math.prod(ins))
    row, column, values = np.broadcast_arrays(row, column, values)
    entries = (values.ravel(), (row.ravel(), column.ravel()))
    return sparse.coo_array(entries, shape=size).tocsr()


def _layout(shape: Any, stride: Any, output_stride: Any) -> _Layout:
    ins, steps = periodic(shape, stride)
    kept = checks.integers(output_stride, len(ins), "output_stride")
    divides(steps, ins, "periodic")
    if any(s % q for s, q in zip(steps, kept, strict=True)):
        raise ValueError(f"stride {steps} must be a multiple of output_stride {kept}")
    outs = tuple(n // q for n, q in zip(ins, kept, strict=True))
    return outs, ins, kept, tuple(s // q for s, q in zip(steps, kept, strict=True))
