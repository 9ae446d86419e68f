"""`make matrix`: the suite on the oldest and on the newest versions of what the project depends on.

Each runs in an environment of its own, .venv-oldest and .venv-newest. The oldest versions are the lower bounds in
pyproject.toml; torch is the one version that constraints.txt has in both. What came out is written to
docs/versions.md.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "versions.md"
WHICH = ("oldest", "newest")
#: Extras whose packages the suite imports.
EXTRAS = ("explore", "netcdf", "sweep", "test")
#: Packages that the table shows.
SHOWN = (
    *("torch", "numpy", "scipy", "xarray", "finufft", "matplotlib", "scikit-image", "jaxtyping"),
    *("jinja2", "tqdm", "tyro", "dask", "zarr", "netCDF4", "starlette", "uvicorn", "hypothesis"),
    "pytest",
)
HEAD = """# Versions

The suite runs on the versions in `constraints.txt`. `make matrix` also runs it on the oldest versions that
`pyproject.toml` allows and on the newest ones in the registry, torch being the same in all three; this is what it said
last.
"""


def main() -> int:
    """Run the suite on each, the second also where the first fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=WHICH, help="one of the two")
    parser.add_argument("arguments", nargs="*", help="for pytest, after --")
    options = parser.parse_args()
    chosen = WHICH if options.only is None else (options.only,)
    return max([run(which, options.arguments) for which in chosen])


def run(which: str, arguments: list[str]) -> int:
    """Build one of the environments, run the suite in it, and write the page."""
    python = environment(which)
    print(f"==> the suite on the {which} versions", flush=True)
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    last = (done.stdout.strip().splitlines() or ["no output"])[-1].strip("= ")
    write(which, installed(python), last, " ".join(arguments))
    return done.returncode


def environment(which: str) -> Path:
    """The Python of an environment, made where it is missing, with the versions installed."""
    folder = ROOT / f".venv-{which}"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    wanted = folder / "constraints.txt"
    wanted.write_text("\n".join(constraints(which)) + "\n")
    upgrade = ["--upgrade", "--upgrade-strategy", "eager"] if which == "newest" else []
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-input", "-c", str(wanted)]
    subprocess.run([*install, *upgrade, "-e", f".[{','.join(EXTRAS)}]"], cwd=ROOT, check=True)
    return python


def constraints(which: str) -> list[str]:
    """Lines of a constraints file."""
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    torch = next(line for line in pins if line.startswith("torch=="))
    if which == "newest":
        return [torch]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(r for name in EXTRAS for r in extras[name])]
    exact = [re.sub(r"\[.*?\]", "", line).replace(">=", "==") for line in wanted]
    return [torch, *(line for line in exact if not line.startswith("torch=="))]


def installed(python: Path) -> dict[str, str]:
    """Versions in an environment, by name."""
    program = (
        "from importlib.metadata import distributions as d\nfor x in d(): print(x.name, x.version)"
    )
    found = subprocess.run(
        [str(python), "-c", program], capture_output=True, text=True, check=True
    ).stdout
    return {name.lower(): version for name, version in map(str.split, found.splitlines())}


def write(which: str, versions: dict[str, str], last: str, arguments: str) -> None:
    """Replace one section of the page, and keep the other."""
    sections = dict.fromkeys(WHICH, "")
    if PAGE.exists():
        for name in sections:
            match = re.search(rf"^## The {name}\n.*?(?=^## |\Z)", PAGE.read_text(), re.M | re.S)
            sections[name] = match.group(0) if match else ""
    day = datetime.datetime.now(datetime.UTC).date().isoformat()
    part = f" of `{arguments}`" if arguments else ""
    rows = "".join(f"| {n} | {versions.get(n.lower(), 'none')} |\n" for n in SHOWN)
    sections[which] = (
        f"## The {which}\n\n{day}, Python {platform.python_version()}{part}: {last}.\n\n"
        f"| package | version |\n|---|---|\n{rows}\n"
    )
    PAGE.write_text(
        HEAD + "\n" + "".join(text for text in sections.values() if text).rstrip() + "\n"
    )


if __name__ == "__main__":
    sys.exit(main())
