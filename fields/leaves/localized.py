"""Sums of terms, each with a centre and an amplitude: what Gaussians, Gabors, Bumps, Balls, Boxes and Sprites share.

All but Sprites are terms of one shape of the table in `fields.profiles`.
"""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from fields import arguments, checks, dtypes
from fields.algebra.field import Field
from fields.arrays import broadcast, separable_sum
from fields.lattice import Lattice, PerAxis
from fields.profiles import Profile, Radial, Separable


class Terms(Field):
    """Abstract: F(x) = Σ_m a_m p_m(x − c_m), p_m real or the real part of a complex profile.

    Parameters
    ----------
    centers : Tensor, shape (m, d) or (*batch, m, d)
    amplitudes : Tensor, shape (m, c) or (*batch, m, c)
    others : array-like
        Further tensors; they become attributes of these names.

    Notes
    -----
    Tensors of several dtypes meet in the widest; those of another one are converted whenever they are looked at.
    """

    #: Whether amplitudes may be complex, and the real part of the sum is meant.
    complex_amplitudes = False
    centers: Tensor
    amplitudes: Tensor

    def __init__(self, centers: Any, amplitudes: Any, **others: Any) -> None:
        parts = {"centers": centers, "amplitudes": amplitudes, **others}
        common = dtypes.given(parts.values())
        self.weak, self.dtype = common is None, common or torch.float64
        self._converted: dict[str, Tensor] = {}
        like = torch.empty(0, dtype=self.dtype)
        for name, part in parts.items():
            like = self._take(name, part, like)
        if self.centers.ndim < 2 or self.amplitudes.ndim < 2:
            raise ValueError(
                "centers must have shape (m, d) and amplitudes (m, c), got "
                f"{tuple(self.centers.shape)} and {tuple(self.amplitudes.shape)}"
            )
        terms, dim = self.centers.shape[-2:]
        if terms == 0 or self.amplitudes.shape[-2] != terms:
            raise ValueError(
                f"centers and amplitudes must have the same number m ≥ 1 of terms, "
                f"got {terms} and {self.amplitudes.shape[-2]}"
            )
        if 0 in self.amplitudes.shape or 0 in self.centers.shape:
            raise ValueError(
                "centers and amplitudes must have no size 0, got shapes "
                f"{tuple(self.centers.shape)} and {tuple(self.amplitudes.shape)}"
            )
        self.dim, self.channels = checks.dimension(dim), self.amplitudes.shape[-1]
        self.device = self.centers.device
        self.batch = tuple(broadcast(self.centers.shape[:-2], self.amplitudes.shape[:-2]))

    def _take(self, name: str, part: Any, like: Tensor) -> Tensor:
        """Make an attribute of what was given; numbers come to the device of the first, the centers."""
        value = checks.as_tensor(part, name, like, complex_too=name == "amplitudes")
        if value.is_complex() and not self.complex_amplitudes:
            raise TypeError(
                f"amplitudes of {type(self).__name__} must be real; complex ones are for Gabors"
            )
        if value.dtype.to_real() == self.dtype:
            setattr(self, name, value)
        else:
            self._converted[name] = value
        return like.to(value.device) if name == "centers" else like

    def __getattr__(self, name: str) -> Tensor:
        """Tensors that were given in another dtype, as they are now."""
        given = self.__dict__.get("_converted", {})
        if name not in given:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return dtypes.alike(given[name], self.dtype)

    def _tail(self, name: str, *tails: tuple[int, ...]) -> tuple[int, ...]:
        """Which shape per term a tensor has, batch in front or not; with the batch where both fit."""
        shape = tuple(getattr(self, name).shape)
        terms = self.centers.shape[-2]
        for lead in (self.batch, ()):
            for tail in tails:
                if shape == (*lead, terms, *tail):
                    return tail
        choices = [str((terms, *tail)) for tail in tails]
        allowed = " or ".join([", ".join(choices[:-1]), choices[-1]] if choices[1:] else choices)
        raise ValueError(f"{name} must have shape {allowed}, batch in front or not, got {shape}")

    def _positive(self, name: str, *tails: tuple[int, ...]) -> tuple[int, ...]:
        """The same for lengths, which have to be positive."""
        tail = self._tail(name, *tails)
        value = getattr(self, name)
        if not bool((value > 0).all()):
            raise ValueError(f"{name} must be positive, the least is {float(value.min())}")
        square = value.detach() ** 2
        if not bool(((square > 0) & square.isfinite()).all()):
            raise ValueError(
                f"the squares of {name} must be neither 0 nor infinite in {value.dtype}: choose another unit of length"
            )
        return tail

    @abstractmethod
    def _reach(self, rtol: float) -> Tensor:
        """Half-widths (…, m, d) of the boxes outside of which the profiles are below `rtol`."""

    def support(self, rtol: float) -> tuple[PerAxis, PerAxis]:
        """Box around all terms, each cut off where it falls to `rtol` of its peak."""
        reach, centers = self._reach(rtol).detach(), self.centers.detach()
        low = (centers - reach).reshape(-1, self.dim).amin(0).tolist()
        high = (centers + reach).reshape(-1, self.dim).amax(0).tolist()
        return tuple(low), tuple(high)

    def _mixed(self, matrix: Tensor) -> Self:
        mixed = copy.copy(self)
        mixed.amplitudes = self.amplitudes @ matrix.mT.to(self.amplitudes.dtype)
        mixed.channels = len(matrix)
        return mixed

    def _moved(self, t: Tensor) -> Self:
        moved = copy.copy(self)
        t = t.to(self.device)
        moved.centers = (self.centers.double() + t[..., None, :]).to(self.dtype)
        moved.batch = tuple(broadcast(self.batch, t.shape[:-1]))
        return moved

    def _summed(self, lattice: Lattice, profile: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Σ_m Re(a_m p_m(x − c_m)), term by term; `profile` takes m and x − c_m (*batch, X1, …, Xd, d)."""
        points = lattice.points()
        total: Tensor | None = None
        for m in range(self.centers.shape[-2]):
            center = self.centers[..., m, :].double()
            lead = (*center.shape[:-1], *(1,) * self.dim, self.dim)
            values = profile(m, (points - center.reshape(lead)).to(self.dtype))
            peak = self.amplitudes[..., m, :]
            peak = peak.reshape(*peak.shape, *(1,) * self.dim)
            part = values.unsqueeze(-self.dim - 1) * peak
            part = part.real if part.is_complex() else part
            total = part if total is None else total + part
        assert total is not None
        return total

    def _of_term(self, value: Tensor, m: int) -> Tensor:
        """Entry m of numbers (…, m), to broadcast against the points' axes."""
        one = value[..., m]
        return one.reshape(*one.shape, *(1,) * self.dim)

    def _phases(self, frequencies: Tensor) -> Tensor:
        """exp(−2πi f·c_m), shape (…, k, m)."""
        cycles = frequencies @ self.centers.double().mT
        return torch.exp(-2j * torch.pi * (cycles - cycles.detach().round()))

    def _weighted(self, transforms: Tensor) -> Tensor:
        """Σ_m a_m p̂_m(f) exp(−2πi f·c_m) in the field's precision from (…, k, m)."""
        kind = dtypes.complex_of(self.dtype)
        return transforms.to(kind) @ self.amplitudes.to(kind)


class Shapes(Terms):
    """Abstract: terms of one shape, p_m(z) = ρ(z/s_m)."""

    profile: ClassVar[Profile]

    @property
    @abstractmethod
    def _sizes(self) -> Tensor:
        """s, shape (…, m, d), or (…, m, 1) where it is the same on all axes."""

    def _bands(self, rtol: float) -> Tensor | None:
        """Frequencies (…, m, d or 1) from which on the spectra of the terms are below `rtol` of their peaks."""
        band = self.profile.band(arguments.fraction(rtol, "rtol"), self.dim)
        return None if band is None else band / self._sizes.detach().double()

    def bandwidth(self, rtol: float) -> PerAxis | None:
        """Frequency beyond which the spectrum of the narrowest term is below `rtol` of its peak."""
        bands = self._bands(rtol)
        return None if bands is None else self._along_axes(bands)

    def _along_axes(self, of_terms: Tensor) -> PerAxis:
        """The largest per axis of what terms have."""
        spread = of_terms.expand(*of_terms.shape[:-1], self.dim)
        return tuple(spread.reshape(-1, self.dim).amax(0).tolist())

    def _reach(self, rtol: float) -> Tensor:
        return self.profile.reach * self._sizes

    @property
    def _volumes(self) -> Tensor:
        """∫p_m, shape (…, m)."""
        sizes = self._sizes
        own = sizes.prod(-1) if sizes.shape[-1] == self.dim else sizes[..., 0] ** self.dim
        return own * self.profile.integral(self.dim)

    def _integral(self) -> Tensor:
        return (self._volumes[..., None, :] @ self.amplitudes).squeeze(-2)

    def _spectra(self, f: Tensor) -> Tensor:
        """Transforms of the centred terms at f (…, k, m, d), shape (…, k, m)."""
        waves = self.profile.transform(self._sizes.double()[..., None, :, :], f)
        return self._volumes.double()[..., None, :] * waves

    def _transform(self, frequencies: Tensor) -> Tensor:
        return self._weighted(self._spectra(frequencies[:, None]) * self._phases(frequencies))

    def _along(self, lattice: Lattice, axis: int) -> Tensor:
        """The profile along one axis, (…, X, m) in double precision."""
        assert isinstance(self.profile, Separable)
        return self.profile.along(*self._offsets(lattice, axis))

    def _offsets(self, lattice: Lattice, axis: int) -> tuple[Tensor, Tensor]:
        """Offsets from the centers along one axis, (…, X, m), and the sizes (…, 1, m), in float64."""
        centers, sizes = (v[..., None, :, axis].double() for v in (self.centers, self._sizes))
        return lattice.axes()[axis][..., :, None] - centers, sizes

    def _values(self, lattice: Lattice) -> Tensor:
        if isinstance(self.profile, Radial):
            rho, radii = self.profile.of, self._sizes[..., 0]
            return self._summed(lattice, lambda m, z: rho((z**2).sum(-1), self._of_term(radii, m)))
        return self._product([self._along(lattice, axis) for axis in range(self.dim)])

    def _product(self, factors: list[Tensor]) -> Tensor:
        """Σ_m a_m ∏_i factors_i."""
        kind = dtypes.complex_of(self.dtype) if factors[0].is_complex() else self.dtype
        return separable_sum(self.amplitudes.to(kind), [f.to(kind) for f in factors])

    def _inner(self, other: Field) -> Tensor | None:
        if not isinstance(other, Shapes) or other.profile is not self.profile:
            return None
        common = self._common(other)
        return (common * (self.amplitudes @ other.amplitudes.mT)).sum((-2, -1))

    def _common(self, other: Shapes) -> Tensor:
        """∫ of the products of terms, (…, m, n)."""
        raise NotImplementedError

    def _apart(self, other: Shapes) -> Tensor:
        """Offsets of the other's centers from these, (…, m, n, d)."""
        return other.centers[..., None, :, :] - self.centers[..., :, None, :]
