"""A folder of results: checked before the work starts, then written, each file whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equivariance.bad_input import BadInput
from equivariance.netcdf import stored_configuration


class OutputFolder:
    """Where an experiment puts its files.

    Parameters
    ----------
    path : path
        Made where it is missing.
    names : tuple of str
        The files that will be written; the first is NetCDF and holds the configuration.

    Raises
    ------
    BadInput
        Where the folder can't be made or written to.
    """

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.path, self.names = path, names
        probe = self._temporary("writable")
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise self._refusal(error) from error
        for name in names:
            if (path / name).is_dir():
                raise BadInput(f"can't write {path / name}: there is a folder of that name")

    def refuse_other(self, configuration: Mapping[str, Any]) -> None:
        """Raise BadInput where results of another configuration are in the folder."""
        if not any((self.path / name).exists() for name in self.names):
            return
        stored = stored_configuration(self.path / self.names[0])
        if stored != configuration:
            raise BadInput(
                f"--out {self.path} holds {_difference(stored, configuration)}: "
                "choose another --out, or replace them with --overwrite"
            )

    def write(self, contents: Mapping[str, bytes]) -> tuple[Path, ...]:
        """Write all files under temporary names, and only then give them their own; older ones of the others go."""
        try:
            for name, content in contents.items():
                self._temporary(name).write_bytes(content)
            for name in contents:
                os.replace(self._temporary(name), self.path / name)
            for name in set(self.names) - set(contents):
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._refusal(error) from error
        finally:
            for name in contents:
                with contextlib.suppress(OSError):
                    self._temporary(name).unlink()
        return tuple(self.path / name for name in contents)

    def _temporary(self, name: str) -> Path:
        return self.path / f".{name}.{os.getpid()}.tmp"

    def _refusal(self, error: OSError) -> BadInput:
        return BadInput(f"can't write to --out {self.path}: {error.strerror or error}")


def _difference(stored: Mapping[str, Any] | None, configuration: Mapping[str, Any]) -> str:
    """Whose results are there, in words."""
    if stored is None:
        return "files of the same names whose configuration can't be read"
    keys = sorted(k for k in {*stored, *configuration} if stored.get(k) != configuration.get(k))
    differing = ", ".join(f"{k} {stored.get(k)} and not {configuration.get(k)}" for k in keys)
    return f"results of another configuration ({differing})"
