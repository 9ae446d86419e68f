"""Run an experiment: check, measure, record where the numbers come from, tell, write.

NAME.nc (numbers)   NAME.csv (table)   pictures   NAME.html (page)
"""

from __future__ import annotations

import csv
import io
from typing import Any

import xarray as xr

from equivariance.experiments.configuring import stored_settings
from equivariance.experiments.experiment import Experiment, Outcome, command, configuration
from equivariance.experiments.finding import Table
from equivariance.netcdf import as_bytes
from equivariance.outputs import OutputFolder
from equivariance.plots import png
from equivariance.provenance import provenance, recorded
from equivariance.report import render
from equivariance.threads import threads


def run(experiment: Experiment, settings: Any) -> Outcome:
    """Answer the question, and write the answer to `settings.out`.

    Raises
    ------
    BadInput
        Where the settings, the folder or what is in it don't allow it, before the work starts.
    """
    folder = prepared(experiment, settings)
    name, effective, told = experiment.name, settings.effective, experiment.page
    with threads(settings.threads):
        data = experiment.measure(effective)
        record = provenance(configuration(name, effective), command(name, settings))
        data = data.assign_attrs(title=told.TITLE, **record)
        contents = {f"{name}.nc": as_bytes(data)} | shown(experiment, data)
    return Outcome(told.text(data), folder.write(contents), tuple(told.judge(data)))


def prepared(experiment: Experiment, settings: Any) -> OutputFolder:
    """The folder for the results; BadInput where settings, folder or what is in it don't allow it."""
    settings.check()
    folder = OutputFolder(settings.out, files(experiment))
    if not settings.overwrite:
        folder.refuse_other(configuration(experiment.name, settings.effective))
    return folder


def files(experiment: Experiment) -> tuple[str, ...]:
    """Names of all files of an experiment, numbers first, page last."""
    pictures = (f"{picture}.png" for picture in experiment.page.PICTURES)
    return (f"{experiment.name}.nc", f"{experiment.name}.csv", *pictures, f"{experiment.name}.html")


def shown(experiment: Experiment, data: xr.Dataset) -> dict[str, bytes]:
    """Table, pictures and page of results, by file name; from the dataset alone."""
    told, name = experiment.page, experiment.name
    pictures = {key: png(figure) for key, figure in told.pictures(data).items()}
    table = told.table(data)
    contents = {f"{name}.csv": as_csv(table)} | {f"{k}.png": v for k, v in pictures.items()}
    return contents | {f"{name}.html": page(experiment, data, pictures)}


def page(experiment: Experiment, data: xr.Dataset, pictures: dict[str, bytes]) -> bytes:
    """The page, with all pictures in it."""
    told = experiment.page
    return render(
        f"{experiment.name}.html",
        title=told.TITLE,
        file=f"{experiment.name}.nc",
        settings=stored_settings(experiment.settings, data),
        findings=told.judge(data),
        table=told.table(data),
        pictures=pictures,
        provenance=recorded(data.attrs),
        **told.content(data),
    )


def as_csv(table: Table) -> bytes:
    """A table as a CSV file."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([table.header, *table.rows])
    return buffer.getvalue().encode()
