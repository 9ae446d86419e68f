"""Field: a feature map F: R^d → R^c as a function, evaluated anywhere.

Leaves give values on a lattice (`_values`). Everything done to a field makes a new node over its parents, by the other
files of this room; `fields.evaluation` evaluates the graph.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from fields import arguments, checks, dtypes, magnitude
from fields.accuracy import MEMORY_BOUND, NODES
from fields.evaluation import integrals
from fields.evaluation.evaluation import evaluate_points
from fields.evaluation.node import Node
from fields.feature_map import FeatureMap
from fields.kernels.aggregation import Aggregate
from fields.kernels.kernel import MatrixKernel
from fields.kernels.multipliers import check_period
from fields.kernels.window import Window

#: What the vocabulary makes of fields, by the word. The files that make it stand on this one, and enter it here.
NODES_OF: dict[str, Callable[..., Field]] = {}
#: Closed forms, likewise: what is None where none is known.
FORMS: dict[str, Callable[..., Any]] = {}


class Field(Node):
    """A continuous feature map F: R^d → R^c.

    A new kind of field implements `_values` and sets `dim`, `channels`, `dtype`, `device`, `batch`; what it knows of
    its period, band limit and support it tells through the methods of these names. Tensors that a field is made of are
    kept, not copied, so that gradients reach them, and looked at again at every call: changed in whatever way, they
    change the field, convolutions in closed form too. Arrays are copied, and so are translations and origins, but for
    leaves that ask for gradients, which an optimiser changes; offsets, exponents and masks are static.

    Attributes
    ----------
    bandlimit : tuple of float or None
        Largest frequency per axis, in cycles per unit length; None where there is none, or none is known.
    parents : tuple of Field
        The fields that this one is composed of.
    weak : bool
        Whether the field was given as numbers, so that it takes the dtype of what it meets; `to` gives it one.

    Examples
    --------
    >>> from fields import Gaussians
    >>> F = Gaussians([[0.0]], [[1.0]], [1.0])
    >>> float((F + 2 * F.translate([3.0]))([3.0])) == 2 + float(F([3.0]))
    True
    """

    parents: tuple[Field, ...] = ()
    source: Field | None = None
    original: Field | None = None

    # --- evaluation -------------------------------------------------------------------------------------------

    def __call__(self, x: Any) -> Tensor:
        """Evaluate at points.

        Parameters
        ----------
        x : array-like, shape (*points, d)
            In length units. Gradients flow back to it.

        Returns
        -------
        Tensor, shape (*batch, *points, c)
            In the field's dtype and on its device.
        """
        return self._at(self._points(x))

    def _at(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, *(1,) * len(self.batch), self.dim)
        return evaluate_points(self, flat).reshape(*self.batch, *x.shape[:-1], self.channels)

    def _points(self, x: Any) -> Tensor:
        points = checks.as_tensor(x, "points x").to(torch.float64)
        if points.ndim == 0 or points.shape[-1] != self.dim:
            raise ValueError(
                f"points of a field on R^{self.dim} have shape (*points, {self.dim}), "
                f"got {tuple(points.shape)}"
            )
        return points

    def gradient(self, x: Any) -> Tensor:
        """Derivatives ∂F_c/∂x_i at points (*points, d), shape (*batch, *points, c, d), by forward differentiation."""
        x = self._points(x)
        columns = [
            torch.func.jvp(self._at, (x,), (basis.expand_as(x),))[1]
            for basis in torch.eye(self.dim, dtype=x.dtype, device=x.device)
        ]
        return torch.stack(columns, dim=-1)

    # --- integrals --------------------------------------------------------------------------------------------

    def integrate(self, rtol: float = 1e-6, memory: int = MEMORY_BOUND) -> Tensor:
        """∫F, shape (*batch, c): over one period of a periodic field, over R^d for one that decays.

        Parameters
        ----------
        rtol : float
            Where no closed form is known: estimated error of the quadrature, relative to ∫|F|, for every element; no
            less than what rounding leaves, 64 eps of the field's dtype (8e-6 in float32), which smaller ones stand for.
        memory : int
            Bound on the values alive at once, in bytes; summed in tiles, up to twice as many. Gradients keep them all.

        Raises
        ------
        ValueError
            Where the field has no known period and isn't known to decay.
        NotResolved
            A LatticeTooLarge with the error that was reached (`.tail`), where `rtol` can't be met within `memory`.

        Notes
        -----
        Along axes where a field is constant (period 0) the period is taken to be 1: the integral is a mean there.
        Closed: Constant, PlaneWaves, Gaussians, Gabors, Bumps, Balls, Boxes, unsmoothed Sprites, periodic Interpolated,
        what `periodize` makes of them, and their translates, multiples, mixings and sums, up to 1,000 terms. By
        quadrature fields with jumps converge to first order only, and what jumps may hide counts in full: in one
        dimension some 1/rtol points for each, and 1/rtol^d for faces along the axes.
        """
        known = FORMS["integrate"](self)
        return integrals.integral(self, rtol, memory) if known is None else known

    def inner(self, other: Field, rtol: float = 1e-6, memory: int = MEMORY_BOUND) -> Tensor:
        """⟨F, G⟩ = ∫ Σ_c F_c G_c, shape (*batch,), over the common period, or R^d where one of them decays.

        Parameters as for `integrate`, whose accuracy is relative to ∫|F_c G_c|. Closed for two PlaneWaves, Gaussians
        or Gabors in any combination of these two, Balls, Boxes, Bumps (to 1e-9), Fourier interpolants of one period;
        for Constant with whatever has an integral, PlaneWaves with whatever has a transform; for what `periodize` makes
        of them; and for translates, multiples, mixings and sums, up to 10,000 pairs of terms, of whose moduli rounding
        leaves some eps.
        """
        if not isinstance(other, Field):
            raise TypeError(f"an inner product needs two fields, got {type(other).__name__}")
        product: Tensor = FORMS["inner"](self, other, rtol, memory)
        return product

    def norm(self, rtol: float = 1e-6, memory: int = MEMORY_BOUND) -> Tensor:
        """The L2 norm √⟨F, F⟩, shape (*batch,), over the same domain and with the same parameters as `inner`.

        Its gradient at F = 0, where it has none, is the subgradient 0. Where closed terms cancel, as in F − t▷F for a
        small t, it is integrated, to 1e-3 at best, within what their rounding leaves.
        """
        found, unit = magnitude.of_square(lambda f: f.inner(f, rtol, memory)[..., None], self)
        some = found > 0
        return (torch.where(some, found, 1.0).sqrt() * some / unit)[..., 0]

    def transform(self, frequencies: Any, rtol: float = 1e-6, memory: int = MEMORY_BOUND) -> Tensor:
        """Fourier transform ∫F(x) exp(−2πi f·x) dx; of a periodic field its Fourier coefficients.

        Parameters
        ----------
        frequencies : array-like, shape (k, d)
            In cycles per unit length; for a periodic field multiples of 1/period. The coefficients are those of
            F(x) = Σ_f F̂(f) exp(2πi f·x): means over the period, not integrals.
        rtol, memory
            As for `integrate`.

        Returns
        -------
        complex Tensor, shape (*batch, k, c)
            Closed for Constant, PlaneWaves, Gaussians, Gabors, Bumps, Balls, Boxes, periodic Fourier interpolants,
            what `periodize` makes of them, and their translates, multiples, mixings and sums, up to 1,000 terms.
        """
        f = checks.as_tensor(frequencies, "frequencies").to(self.device, torch.float64)
        if f.ndim != 2 or f.shape[1] != self.dim or not len(f):
            raise ValueError(
                f"frequencies must have shape (k, {self.dim}), k ≥ 1, got {tuple(f.shape)}"
            )
        known = FORMS["transform"](self, f)
        return integrals.transform(self, f, rtol, memory) if known is None else known

    # --- the vocabulary ---------------------------------------------------------------------------------------

    def translate(self, t: checks.VectorLike) -> Field:
        """(t▷F)(x) = F(x − t), t real, shape (d,) or (*batch, d), in length units."""
        return NODES_OF["translate"](self, t)

    def map(
        self,
        fn: Callable[[Tensor], Tensor],
        jumps: bool | None = None,
        finest: checks.VectorLike | None = None,
    ) -> Field:
        """X ↦ fn(F(x)): `fn` sees channels last, (…, c), and may change their number.

        Estimates of errors use what is said of it, see `FeatureMap.map`, and find out what isn't.
        """
        return NODES_OF["map"](self, fn, jumps, finest)

    def convolve(self, kernel: MatrixKernel, nodes: int = NODES, exact: bool = True) -> Field:
        """(K*F)(x) = ∫ K(y) F(x − y) dy with about `nodes` nodes per radius, or Σ_j w_j F(x − o_j).

        In closed form where one is known, unless `exact` is False: Constant and PlaneWaves with all kernels but
        `Kernel` (and many Atoms), Interpolated Fourier fields with all but `Kernel` and Atoms, with a FieldKernel where
        its field's transform is closed; Gaussians, Gabors and periodized Gaussians with GaussianKernel, and with a
        FieldKernel of Gaussians or Gabors; their translates, multiples, mixings and sums. A closed form ignores
        `nodes`, and the cut-off of a Gaussian kernel, beyond which lies 3e-12 of it.
        """
        quadrature, exact = (
            NODES_OF["convolve"](self, kernel, nodes),
            arguments.flag(exact, "exact"),
        )
        if kernel.period is not None:
            check_period(
                kernel, self.is_periodic(kernel.period), f"a field of period {self.period}"
            )
        known = self._convolution(kernel) if exact else None
        return quadrature if known is None else known

    def _convolution(self, kernel: MatrixKernel) -> Field | None:
        """K*F in closed form, made of what both hold whenever it is asked; None where there is none."""
        found: Field | None = FORMS["convolve"](self, kernel)
        return found

    def pool(
        self, window: Window, kind: str | float | Aggregate = "mean", nodes: int = NODES
    ) -> Field:
        """Aggregate over x − y, y in a centred window, with about `nodes` nodes per half-width."""
        return NODES_OF["pool"](self, window, kind, nodes)

    def mix(self, matrix: Any) -> Field:
        """X ↦ M F(x), M of shape (c_out, c_in)."""
        return NODES_OF["mix"](self, matrix)

    def to(self, dtype: torch.dtype) -> Field:
        """The same field in another precision; one that was given as numbers keeps it from then on."""
        return NODES_OF["to"](self, arguments.real_dtype(dtype))

    def stride(self, s: Any) -> Field:
        """The field itself: a stride belongs to the grid."""
        checks.integers(s, self.dim, "stride")
        return self

    def periodize(self, period: checks.VectorLike) -> Field:
        """Σ_n F(x − nP), the sum of the images of a decaying field, to rounding error."""
        return NODES_OF["periodize"](self, checks.positive(period, self.dim, "period"))

    def resolve(self, rtol: float = 1e-6, memory: int = MEMORY_BOUND) -> Any:
        """The coarsest band-limited field within a tolerance of a periodic one.

        Parameters
        ----------
        rtol : float
            Bound on the L2 norm over a period of what is left out, relative to the field's, per element of a batch.
        memory : int
            Bound on the values alive at once, in bytes.

        Returns
        -------
        Interpolated
            A trigonometric polynomial through 2K+1 samples per axis, K the highest mode that is needed. Its error was
            measured between the samples, too, unless the band limit was known.

        Raises
        ------
        NotResolved
            A ValueError with the tail that is left (`.tail`), where it doesn't get below `rtol` within `memory`: a
            spectrum that ends falls off at once, that of a field with kinks (ReLU) by powers only.
        ValueError
            Where no period is known.

        Examples
        --------
        >>> import torch
        >>> from fields import PlaneWaves
        >>> wave = PlaneWaves([[0.25]], [[1.0]])
        >>> wave.map(torch.square).resolve(1e-9).bandlimit, wave.map(torch.tanh).resolve(1e-3).shape
        ((0.5,), (11,))
        """
        return NODES_OF["resolve"](self, rtol, memory)

    def _plus(self, other: Any, sign: float) -> Any:
        if isinstance(other, Field):
            return NODES_OF["add"](self, other if sign > 0 else other._times(sign))
        if isinstance(other, FeatureMap):
            return NotImplemented  # Samples ⊕ Field is theirs to define
        shift = checks.channel_vector(other, self.channels, self._like)
        added = shift if sign > 0 else functools.partial(torch.neg, shift)
        return NODES_OF["affine"](self, 1.0, added, dtypes.strong(other))

    def _times(self, other: Any) -> Any:
        if isinstance(other, Field):
            return NODES_OF["multiply"](self, other)
        if isinstance(other, FeatureMap):
            return NotImplemented
        vector = checks.channel_vector(other, self.channels, self._like)
        return NODES_OF["affine"](self, vector, 0.0, dtypes.strong(other))

    def _divided(self, divisor: Tensor, others: Sequence[dtypes.Typed]) -> Any:
        vector = checks.channel_vector(divisor, self.channels, self._like)
        return NODES_OF["affine"](self, functools.partial(torch.reciprocal, vector), 0.0, others)
