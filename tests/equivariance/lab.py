"""An experiment run as a user runs it, with the quick settings, and what every experiment owes."""

import csv
import html.parser
import json
import re
from pathlib import Path
from types import SimpleNamespace

import xarray as xr

from equivariance.cli import main
from equivariance.experiments import EXPERIMENTS, Experiment

files = Experiment.files


def telling(name: str) -> SimpleNamespace:
    """What an experiment tells of a dataset, by what it is asked for."""
    told = EXPERIMENTS[name].told
    asked = ("stages", "table", "text")
    return SimpleNamespace(
        **{key: lambda data, key=key: getattr(told(data), key) for key in asked},
        judge=lambda data: told(data).findings,
        PICTURES=EXPERIMENTS[name].study.PICTURES,
    )


def quick(name: str, out: Path, *flags: str) -> SimpleNamespace:
    """The results of `equivariance run NAME --quick`."""
    assert main(["run", name, "--quick", "--out", str(out), *flags]) == 0
    with xr.open_dataset(out / f"{name}.nc", engine="scipy") as stored:
        data = stored.load()
    told = telling(name)
    return SimpleNamespace(out=out, name=name, data=data, told=told, findings=told.judge(data))


def owes(done: SimpleNamespace) -> None:
    """Files, page, table and provenance say the same, and all predictions hold."""
    experiment = EXPERIMENTS[done.name]
    assert {p.name for p in done.out.iterdir()} == set(files(experiment))
    assert [f for f in done.findings if not f.holds] == []
    assert json.loads(done.data.attrs["configuration"])["experiment"] == done.name
    table = done.told.table(done.data)
    with (done.out / f"{done.name}.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [table.header, *table.rows]
    text = done.told.text(done.data)
    assert all(f.prediction in text and f.measured in text for f in done.findings)
    assert max(map(len, text.splitlines())) <= 140
    page = Page((done.out / f"{done.name}.html").read_text("utf-8"))
    assert not page.tags & {"script", "link", "iframe", "object", "base"}
    assert page.pictures == len(done.told.PICTURES)
    words = " ".join(" ".join(page.words).split())
    assert f"equivariance run {done.name}" in words
    assert words.count("as predicted") == len(done.findings)
    assert "not as predicted" not in words
    assert all(re.sub(r"\s+", " ", c) in words for row in table.rows for c in row)
    again = experiment.told(done.data)  # results that are there tell themselves again
    pictures = {name: (done.out / f"{name}.png").read_bytes() for name in done.told.PICTURES}
    assert again.page(pictures) == (done.out / f"{done.name}.html").read_bytes()


class Page(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.pictures = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            said = dict(attrs)
            assert (said["src"] or "").startswith("data:image/png;base64,")
            assert len(said["alt"] or "") > 40
            self.pictures += 1

    def handle_data(self, data: str) -> None:
        self.words.append(data)
