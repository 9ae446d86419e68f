"""`python -m benchmarks [NAME …]`: run benchmarks by name, or list them."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks

HELPERS = {"__main__", "harness"}


def main(names: list[str]) -> int:
    """Run the named benchmarks."""
    known = {m.name for m in pkgutil.iter_modules(benchmarks.__path__)} - HELPERS
    if not names or set(names) - known:
        for name in sorted(known):
            doc = importlib.import_module(f"benchmarks.{name}").__doc__ or ""
            print(f"{name:<{max(map(len, known))}}  {doc.splitlines()[0]}")
        return 2 if names else 0
    for name in names:
        ended = importlib.import_module(f"benchmarks.{name}").main()
        if ended:
            return int(ended)
    return 0


sys.exit(main(sys.argv[1:]))
