"""What the experiment `stride` tells: the table in the terminal and the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from equivariance.experiments.stride.inputs import Input
from equivariance.experiments.stride.networks import OUTPUTS, Network, ordinal
from equivariance.experiments.stride.settings import StrideSettings
from equivariance.report import render
from equivariance.table import aligned, number
from equivariance.verdict import Row, tolerance

#: What is said of the two ways to run a network.
GRIDS = {"continuous": "continuous networks", "grid": "on a grid of {0} × {0} points"}


def text(settings: StrideSettings, rows: Sequence[Row], fields: Mapping[str, Input]) -> str:
    """The table of verdicts, a part for each field and each way to run the networks."""
    s = settings.stride
    header = ["network", "multiples", "others", "between", "verdict", "equivariant under"]
    parts = [
        f"Relative equivariance error: the worst over translations by multiples of {s} pixels, by\n"
        "other whole pixels, and between pixels."
    ]
    for name, field in fields.items():
        for grid, title in GRIDS.items():
            cells = [
                [r.layer, *map(number, r.classes), r.verdict.kind, r.verdict.subgroup.name]
                for r in rows
                if (r.field, r.grid) == (name, grid)
            ]
            heading = f"{field.title}: {title.format(settings.size)}"
            parts.append(f"{heading}\n{aligned(header, cells)}")
    parts.append(
        f"0 is exact, up to {tolerance():.0e} is round-off. Z are the whole pixels, {s}Z the multiples of {s}."
    )
    return "\n\n".join(parts)


def predicted(settings: StrideSettings, nets: Mapping[str, Network]) -> dict[tuple[str, str], str]:
    """The group of translations that theory says, by layer and grid."""
    everything = "all tested real translations" if settings.steps > 1 else "Z × Z"
    names = {(name, "continuous"): everything for name in nets}
    for name, net in nets.items():
        step = "Z" if net.predicted == 1 else f"{net.predicted}Z"
        names[name, "grid"] = f"{step} × {step}"
    return names


def page(
    settings: StrideSettings,
    rows: Sequence[Row],
    fields: Mapping[str, Input],
    nets: Mapping[str, Network],
    pictures: Mapping[str, bytes],
    record: Mapping[str, str],
) -> bytes:
    """The page, with all pictures in it."""
    theory = predicted(settings, nets)
    return render(
        "stride.html",
        settings=settings,
        rows=rows,
        predicted=theory,
        agreeing=sum(row.verdict.subgroup.name == theory[row.layer, row.grid] for row in rows),
        fields=fields,
        grids={grid: title.format(settings.size) for grid, title in GRIDS.items()},
        networks={name: net.about for name, net in nets.items()},
        curves=pictures["stride-error.png"],
        diagrams={name: pictures[f"stride-diagram-{name}.png"] for name in fields},
        count=3 * (2 * settings.stride * settings.steps + 1),
        outputs=OUTPUTS,
        tolerance=tolerance(),
        th=ordinal(settings.stride),
        provenance=record,
    )
