"""`equivariance report STORE_OR_FILE`: a page, pictures and tables from results that are there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from equivariance.bad_input import BadInput

if TYPE_CHECKING:
    import xarray as xr

FILES = ("report.html", "report-error.png", "report-error.svg", "report.csv", "report.tex")
#: Kinds of failures that are listed.
LISTED = 12


@dataclass(frozen=True)
class ReportSettings:
    """Write a page, pictures and tables from a sweep's store or a file of results.

    The page needs no network and no other file. Exit code 0 when done, 2 where the results can't be read.
    """

    results: tyro.conf.Positional[Path]
    """A store of `equivariance sweep`, or a NetCDF file with errors by translation."""

    out: Path = Path("equivariance-out")
    """Folder for the report, made where it is missing; an earlier report there is replaced."""

    code: bool = False
    """Run the code that the results name, to draw its layers. Only for results that you trust."""


def run(settings: ReportSettings) -> tuple[str, tuple[Path, ...]]:
    """Write the report: what there is to say, and the files.

    Raises
    ------
    BadInput
        Where there are no results, or none that can be reported, or the folder can't be written.
    """
    from equivariance.reporting.table import cells, header, rows
    from equivariance.results import OutputFolder
    from equivariance.text import aligned

    data = opened(settings.results)
    try:
        found = rows(data)
    except BadInput as error:
        raise BadInput(f"{settings.results} can't be reported: {error}") from error
    folder = OutputFolder(settings.out, FILES)
    contents = rendered(data, settings.results.name, settings.code)
    columns = header(found)
    text = aligned(columns, [cells(row, columns) for row in found])
    return text, folder.write(contents)


def opened(path: Path) -> xr.Dataset:
    """The dataset in a store or a NetCDF file, in memory."""
    import xarray as xr

    from equivariance.results import check_dataset, engine

    if not path.exists():
        raise BadInput(f"there is no {path}")
    if path.is_dir():
        try:
            from equivariance.sweeping.store import read_dataset
        except ImportError as error:
            raise BadInput(
                f"stores need Zarr: pip install 'feature-fields[sweep]' ({error})"
            ) from error
        return read_dataset(path)
    try:
        with xr.open_dataset(path, engine=engine(path)) as data:
            check_dataset(data)
            loaded: xr.Dataset = data.load()
    except Exception as error:  # any file may be there
        raise BadInput(f"{path} is no NetCDF file that can be read: {error}") from error
    return loaded


def rendered(data: xr.Dataset, file: str, code: bool = False) -> dict[str, bytes]:
    """The contents of `FILES` for results that lie in `file`; `code` as for `diagrams`."""
    import matplotlib

    from equivariance.diagram import COLOURS, PANELS
    from equivariance.plots import png
    from equivariance.reporting.figures import FRAMES, as_svg, diagrams, error_picture
    from equivariance.reporting.table import as_csv, as_latex, cells, header, rows
    from equivariance.text import render
    from equivariance.verdicts import tolerance

    found = rows(data)
    columns = header(found)
    figure, omitted = error_picture(data)
    picture = png(figure, 200)
    drawn, missing = diagrams(data.attrs, code)
    record = {k: str(v) for k, v in data.attrs.items() if k not in ("toml", "title")}
    page = render(
        "report.html",
        title=str(data.attrs.get("title", f"Report on {file}")),
        file=file,
        about=_about(data),
        diagrams=drawn,
        data=[{"frames": d.frames, "pictures": d.pictures, "scales": d.scales} for d in drawn],
        missing=missing,
        first=3 * FRAMES // 4,
        panels=list(PANELS),
        gradients={
            kind: [_hex(c) for c in matplotlib.colormaps[name](range(0, 256, 51))]
            for kind, name in COLOURS.items()
        },
        picture=picture,
        omitted=omitted,
        header=columns,
        rows=[cells(row, columns) for row in found],
        tolerance=tolerance(str(data.attrs.get("dtype", "float64"))),
        failures=_failures(data),
        toml=data.attrs.get("toml", ""),
        provenance={"command": "(not recorded)"} | record,
    )
    tables = as_csv(found).encode(), as_latex(found).encode()
    return dict(zip(FILES, (page, picture, as_svg(figure), *tables), strict=True))


def _hex(colour: Any) -> str:
    from matplotlib.colors import to_hex

    return to_hex(colour)


def _about(data: xr.Dataset) -> str:
    """What was measured, in numbers."""
    error = data["error"]
    sizes = ", ".join(
        f"{n} {name}{'s' if n > 1 else ''}" for name, n in error.sizes.items() if n > 1
    )
    known = int(error.notnull().sum())
    return f"{known:,} of {error.size:,} relative equivariance errors measured: {sizes}."


def _failures(data: xr.Dataset) -> list[tuple[str, int]]:
    """The messages of cells without an error, the most frequent first, and how many cells aren't done."""
    if "status" not in data:
        return []
    left = int((data["status"] == 0).sum())
    texts = Counter(t for t in data["message"].to_numpy().ravel().tolist() if t)
    found = texts.most_common(LISTED)
    return [*found, *([("not done yet", left)] if left else [])]
