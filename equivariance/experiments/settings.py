"""What the settings of all experiments share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from equivariance.bad_input import BadInput, check_range


@dataclass(frozen=True)
class Settings:
    """Where results go, what the chance is drawn with, and how much is computed.

    The settings of an experiment are a dataclass on top of this one: the Python interface, the flags, the keys of a
    TOML file and the provenance at once.
    """

    out: Path = Path("equivariance-out")
    """Folder for the results, made where it is missing."""

    overwrite: bool = False
    """Replace results of another configuration in that folder."""

    seed: int = 0
    """Seed of all that is drawn at random."""

    threads: int = 1
    """Processor threads."""

    quick: bool = False
    """Smaller, in a few seconds, to see that it runs."""

    #: Smallest values of numbers.
    LEAST: ClassVar[Mapping[str, float]] = {}
    #: What numbers are cut down to where `quick` asks for it.
    QUICK: ClassVar[Mapping[str, Any]] = {}

    def check(self) -> None:
        """Raise BadInput where these settings can't be run."""
        check_range("seed", self.seed)
        check_range("threads", self.threads)
        for name, bound in self.LEAST.items():
            value = getattr(self, name)
            if not all(v >= bound for v in (value if isinstance(value, tuple) else (value,))):
                flag = name.replace("_", "-")
                raise BadInput(f"--{flag} must be at least {bound:g}, got {value}")
        self._check()

    @property
    def effective(self) -> Self:
        """The settings that are run: these, made smaller where `quick` asks for it."""
        return self._quick() if self.quick else self

    def _check(self) -> None:
        """What these settings need beyond `LEAST`."""

    def _quick(self) -> Self:
        """These settings, made smaller."""
        return replace(self, **{k: min(getattr(self, k), most) for k, most in self.QUICK.items()})
