"""Twenty SIGKILLs at random moments, to drivers and workers of one sweep: the store must equal a serial run's."""

from __future__ import annotations

import collections
import tempfile
from pathlib import Path

from tests.equivariance.killing import differences, leftovers, run_with_kills, start, write

KILLS = 20


def main() -> None:
    """Run the sweep twice, and compare bits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write(folder, seeds=40, pause=0.2)
        killed = run_with_kills(config, folder / "killed.zarr", KILLS, seed=0, patience=8.0)
        serial = start(config, folder / "serial.zarr", workers=0)
        _, said = serial.communicate()
        assert serial.returncode == 0, said.decode()
        differing = differences(folder / "killed.zarr", folder / "serial.zarr")
        count = collections.Counter(killed)
        print(f"\n{len(killed)} kills: " + ", ".join(f"{n} × {who}" for who, n in count.items()))
        print(f"  arrays that differ from a serial run: {', '.join(differing) or 'none'}")
        print(f"  files left half-written: {len(leftovers(folder / 'killed.zarr'))}")
