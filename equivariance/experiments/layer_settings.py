"""Settings of the experiments on single layers and small networks: without torch, so that `--help` answers at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from equivariance.bad_input import BadInput
from equivariance.experiments.settings import Settings


@dataclass(frozen=True)
class StrideSettings(Settings):
    """Measure what a stride does to translation equivariance.

    A small network with six ways of subsampling meets a photograph and a random band-limited field, moved by fractions
    of a pixel. The errors come with a verdict each, and are written to a NetCDF file, pictures and an HTML page.
    """

    image: Path | None = None
    """Photograph, greyscale or RGB; scikit-image's "camera" unless given."""

    size: int = 64
    """Grid points a side; the photograph is averaged over blocks to as many."""

    stride: int = 2
    """Every how many points the strided networks keep one."""

    steps: int = 8
    """Translations are multiples of 1/steps pixel, from 0 to twice the stride."""

    points: int = 200
    """Random points at which the continuous networks are compared."""

    bandlimit: float = 0.23
    """Highest frequency of the random field, in cycles per pixel."""

    channels: int = 4
    """Channels between the two convolutions."""

    LEAST: ClassVar = {"stride": 2, "steps": 1, "points": 1, "channels": 1}

    def _check(self) -> None:
        if self.size < 4 * self.stride or self.size % self.stride:
            near = max(4, round(self.size / self.stride)) * self.stride
            raise BadInput(
                f"--size must be a multiple of the stride {self.stride}, at least {4 * self.stride}, "
                f"got {self.size}: take {near}, say"
            )
        if not 1 / self.size <= self.bandlimit <= 0.5:
            raise BadInput(
                f"--bandlimit must lie between 1/size = {1 / self.size:g} and 0.5 cycles per pixel, "
                f"got {self.bandlimit}"
            )

    def _quick(self) -> StrideSettings:
        """At most 32 points a side, steps of 1/4 pixel and 40 random points."""
        size = max(4, 32 // self.stride) * self.stride
        return replace(
            self,
            size=min(self.size, size),
            steps=min(self.steps, 4),
            points=min(self.points, 40),
            bandlimit=max(self.bandlimit, 1 / size),
        )


@dataclass(frozen=True)
class SubsamplingSettings(Settings):
    """Measure every kind of subsampling on fields of several band limits.

    A convolution, a non-linearity and each kind of subsampling meet a random field and two photographs, whose waves are
    cut at four band limits, under even, odd, half-pixel and random real translations. The errors are written to a
    NetCDF file, a table, a picture and an HTML page.
    """

    size: int = 64
    """Grid points a side; photographs are averaged over blocks to as many."""

    stride: int = 2
    """Every how many points one is kept."""

    count: int = 8
    """Translations of each class."""

    channels: int = 4
    """Channels after the convolution."""

    LEAST: ClassVar = {"stride": 2, "count": 1, "channels": 1}

    def _check(self) -> None:
        if self.size < 8 * self.stride or self.size % self.stride or self.size > 256:
            near = min(256 // self.stride, max(8, round(self.size / self.stride))) * self.stride
            raise BadInput(
                f"--size must be a multiple of the stride {self.stride} from {8 * self.stride} to 256, "
                f"got {self.size}: take {near}, say"
            )

    def _quick(self) -> SubsamplingSettings:
        """At most 32 points a side, and two translations of each class."""
        size = max(8, 32 // self.stride) * self.stride
        return replace(self, size=min(self.size, size), count=min(self.count, 2))


@dataclass(frozen=True)
class CommuteSettings(Settings):
    """Walk both ways round the diagram of translation equivariance with every layer.

    On fields, on samples that move with their grid, on a grid that stays, with sampling before or after the layer: the
    differences go to a NetCDF file, pictures and an HTML page.
    """

    size: int = 32
    """Grid points a side, a multiple of 16; the field has waves up to 7/32 of it."""

    count: int = 3
    """Translations of each kind."""

    points: int = 60
    """Random points at which continuous layers are compared."""

    LEAST: ClassVar = {"size": 32, "count": 1, "points": 1}
    QUICK: ClassVar = {"size": 32, "count": 1, "points": 20}

    def _check(self) -> None:
        if self.size % 16 or self.size > 128:
            raise BadInput(f"--size must be a multiple of 16 from 32 to 128, got {self.size}")

    @property
    def band(self) -> int:
        """Highest wave of the field, per period."""
        return 7 * self.size // 32


@dataclass(frozen=True)
class NonlinearitySettings(Settings):
    """Measure the waves that activations make, and what applying them on a finer grid buys.

    Tails of spectra, bands that they need, and equivariance errors against over-sampling, measured and foretold, go to
    a NetCDF file, a picture and an HTML page.
    """

    waves: int = 8
    """Highest wave K of the fields, per period."""

    size: int = 23
    """Grid points per period, odd; the grid tells waves up to half of it."""

    fields: int = 32
    """Random fields, of unit root mean square; energies are their sums."""

    finest: int = 16
    """Largest over-sampling, a power of 2."""

    LEAST: ClassVar = {"waves": 2, "fields": 1, "finest": 8}
    QUICK: ClassVar = {"fields": 8, "finest": 8}

    def _check(self) -> None:
        if not 2 * self.waves < self.size < 1024 or self.size % 2 == 0:
            raise BadInput(
                f"--size must be odd, from 2·waves + 1 = {2 * self.waves + 1} to 1023, got {self.size}"
            )
        if 1.5 * self.waves < self.size / 2:
            raise BadInput(
                f"--size must be at most {3 * self.waves} for --waves {self.waves}, so that squares alias, "
                f"got {self.size}"
            )
        if self.finest > 64 or self.finest & (self.finest - 1):
            raise BadInput(f"--finest must be a power of 2 from 8 to 64, got {self.finest}")

    @property
    def factors(self) -> list[int]:
        """All over-samplings."""
        return [1 << i for i in range(self.finest.bit_length())]


@dataclass(frozen=True)
class InvarianceSettings(Settings):
    """Pool globally behind every kind of subsampling, and see which translations leave the result alone.

    Mean, root mean square and maximum of a convolution, a nonlinearity and a subsampling, stride 2, under even, odd and
    random real translations: the errors go to a NetCDF file, a picture and an HTML page.
    """

    size: int = 32
    """Grid points a side, a multiple of 8; the field has waves up to 3/8 of it."""

    count: int = 6
    """Translations of each class."""

    channels: int = 4
    """Channels after the convolution."""

    rtol: float = 1e-3
    """Tolerance of the invariants of the continuous layer."""

    LEAST: ClassVar = {"size": 16, "count": 1, "channels": 1}
    QUICK: ClassVar = {"size": 32, "count": 2}

    def _check(self) -> None:
        if self.size % 8 or self.size > 128:
            raise BadInput(f"--size must be a multiple of 8 from 16 to 128, got {self.size}")
        if not 1e-4 <= self.rtol <= 0.1:
            raise BadInput(f"--rtol must lie between 1e-4 and 0.1, got {self.rtol}")

    def _quick(self) -> InvarianceSettings:
        """At most 32 points a side, two translations of each class, a looser tolerance."""
        return replace(Settings._quick(self), rtol=max(self.rtol, 1e-2))


@dataclass(frozen=True)
class WeightSharingSettings(Settings):
    """Find all maps that commute with translations, assuming nothing of them.

    Spaces of linear maps and biases on periodic grids in 1, 2 and 3 dimensions, projections of random matrices, layers
    that share their weights beside layers that don't, and numbers of parameters go to a NetCDF file, a picture and an
    HTML page.
    """

    size: int = 16
    """Points a side of the largest grid, in two dimensions."""

    c_in: int = 2
    """Channels of the inputs there."""

    c_out: int = 3
    """Channels of the outputs there."""

    kernel: int = 3
    """Side of the kernels whose parameters are counted."""

    LEAST: ClassVar = {"size": 4, "c_in": 1, "c_out": 1, "kernel": 1}
    QUICK: ClassVar = {"size": 8}

    def _check(self) -> None:
        if self.size % 2 or self.size > 32:
            raise BadInput(f"--size must be even and at most 32, got {self.size}")
        if self.kernel > self.size:
            raise BadInput(f"--kernel must be at most --size {self.size}, got {self.kernel}")
        if self.size**4 * self.c_in * self.c_out > 2**23:
            raise BadInput(
                f"--size {self.size} with {self.c_in} to {self.c_out} channels has too many maps: "
                "size⁴·c_in·c_out must be at most 2²³"
            )
