"""Reports: the tables say what the data says, the page holds all of itself, and its slider moves the pictures."""

import csv
import json
import re
import sys

import numpy as np
import pytest
import torch
import xarray as xr
from axe_core_python.sync_playwright import Axe

from discretize import Grid, Stride
from equivariance import sweep
from equivariance.cli import main
from equivariance.cli.report import FILES
from equivariance.reporting.table import as_csv, as_latex, cells, header, rows
from equivariance.results import as_bytes
from equivariance.sweeping.configuration import runs_code
from fields import random_bandlimited
from tests.equivariance.browser import browser, listen, reason_to_skip

CONFIGURATION = """
strides = [2]
[translations]
line = {{ to = {reach}, count = 9 }}
[grids.<b>&16]
shape = {shape}
[fields.noise]
random = {{ bandlimit = 0.4, period = 8.0 }}
[layers.stride_]
chain = ["square", "stride"]
[layers."equivariant & <i>"]
chain = ["square", "equivariant"]
[layers.mean]
chain = ["square", "mean"]
""".replace("[grids.<b>&16]", '[grids."<b>&16"]')


def made(folder, dim: int):
    """A small sweep in d dimensions, and its report."""
    text = CONFIGURATION.format(reach=[0.0] * (dim - 1) + [4.0], shape=[8] * dim)
    (folder / "sweep.toml").write_text(text)
    store, out = folder / "s.zarr", folder / "report"
    assert main(["sweep", str(folder / "sweep.toml"), "--out", str(store)]) == 0
    assert main(["report", str(store), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def chromium():
    with browser() as running:
        yield running


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return made(tmp_path_factory.mktemp("report"), 2)


def test_every_file_is_there_and_of_its_kind(report) -> None:
    assert {p.name for p in report.iterdir()} == set(FILES)
    assert (report / "report-error.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (report / "report-error.svg").read_bytes()[:600]


def test_the_table_is_what_theory_says(report) -> None:
    """Strides keep multiples, Xu's subsampling all whole steps; neither keeps fractions.

    The mean of the square keeps everything: its band, 0.8, aliases to nothing at frequency 0.
    """
    with open(report / "report.csv", newline="") as file:
        table = {row["layer"]: row for row in csv.DictReader(file)}
    worst = {
        name: [float(row[c]) for c in ("multiples", "others", "between")]
        for name, row in table.items()
    }
    assert [w <= 1e-13 for w in worst["stride_"]] == [True, False, False]
    assert [w <= 1e-13 for w in worst["equivariant & <i>"]] == [True, True, False]
    assert {row["verdict"] for row in table.values()} == {
        "round-off"
    }  # all do what their stride allows


def test_labels_are_escaped(report) -> None:
    page, latex = (report / "report.html").read_text(), (report / "report.tex").read_text()
    assert "equivariant &amp; &lt;i&gt;" in page
    assert "<i>," not in page
    assert r"equivariant \& <i>" in latex
    assert r"stride\_ " in latex
    assert re.search(r"\$\d\.\d\\cdot10\^\{-\d+\}\$", latex)


def test_nothing_refers_to_another_file(report) -> None:
    page = (report / "report.html").read_text()
    addresses = re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"\s)>]+)', page)
    assert addresses
    assert all(a.startswith("data:") or a in ("diagram.pictures[frame[name]];",) for a in addresses)


def test_the_exact_command_is_told(report) -> None:
    page = (report / "report.html").read_text()
    assert re.search(r"<pre>equivariance sweep \S+sweep.toml --out \S+s.zarr</pre>", page)


@pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip() or "")
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_in_a_browser(report, chromium, tmp_path, dim: int) -> None:
    """No errors on the console, nothing fetched, and the slider and the layer change the panels."""
    out = report if dim == 2 else made(tmp_path, dim)
    page = chromium.new_page()
    heard = listen(page)
    page.goto((out / "report.html").as_uri())

    def at(slider: int, layer: int) -> tuple[dict[str, str], str]:
        page.select_option("#layer", str(layer))
        page.focus("#slider")
        page.keyboard.press("Home")
        for _ in range(slider):
            page.keyboard.press("ArrowRight")
        images = "images => Object.fromEntries(images.map(i => [i.id, i.src]))"
        return page.eval_on_selector_all(".diagram img", images), page.inner_text("#told")

    still, told = at(0, 0)
    assert len(still) == 6
    assert still["before"] == still["moved"]
    assert told == f"t = ({', '.join(['0'] * dim)}), relative error 0"
    odd, told = at(4, 0)
    assert f"t = ({', '.join([*['0'] * (dim - 1), '1'])})" in told
    assert {n for n in still if still[n] != odd[n]} == set(still) - {"before", "output"}
    assert page.inner_text("#sign") == "≠"
    at(4, 1)  # Xu's subsampling keeps odd translations
    assert page.inner_text("#sign") == "="
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    for width in (1200, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]] == []
    assert heard.said == []
    assert all(url.startswith(("data:", (out / "report.html").as_uri())) for url in heard.asked)
    page.close()


def test_a_file_of_a_sweep_in_memory(tmp_path) -> None:
    """Without what made it there is no diagram, and the page says so."""
    field = random_bandlimited(1, 1, 0.4, 8.0, seed=0)
    data = sweep({"s": Stride(2)}, {"f": field}, [[0.0], [1.0]], {"g": Grid(8, 1.0)})
    (tmp_path / "s.nc").write_bytes(as_bytes(data))
    assert main(["report", str(tmp_path / "s.nc"), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "There is no diagram: the results don" in page
    assert "<script" not in page


def table(error, t, **attributes: str) -> xr.Dataset:
    shape = ("layer", "translation")
    return xr.Dataset(
        {"error": (shape, error)},
        coords={"layer": [str(i) for i in range(len(error))], "t": (("translation", "axis"), t)},
        attrs=attributes,
    )


def test_rows_over_missing_cells() -> None:
    """NaN cells are counted apart; the rest are a root mean square, a maximum, and where it is reached."""
    found = rows(
        table([[3.0, np.nan, 4.0], [np.nan] * 3, [0.0, 0.0, 1e-15]], [[0.0], [1.0], [2.5]])
    )
    assert [(r.count, r.missing, r.worst, r.at, r.kind) for r in found[::2]] == [
        (2, 1, 4.0, (2.5,), "broken"),
        (3, 0, 1e-15, (2.5,), "round-off"),
    ]
    assert found[0].typical == pytest.approx(12.5**0.5)
    assert (found[1].count, found[1].kind) == (0, None)
    assert "no error" in as_latex(found)
    columns = header(found)
    assert columns[:3] == ["layer", "cells", "missing"]
    assert [cells(r, columns)[1:3] for r in found] == [["2", "1"], ["0", "3"], ["3", "0"]]
    assert as_csv(found).splitlines()[1].startswith("0,2,1,")
    assert "missing" not in header(found[2:])


def test_precision_says_what_round_off_is() -> None:
    data = table([[0.0, 1e-6]], [[0.0], [1.0]])
    assert (rows(data)[0].kind, rows(data)[0].words) == ("unknown", ("none", "0", "1.0e-06"))
    assert rows(data.assign_attrs(dtype="float32"))[0].kind == "round-off"


def test_what_cannot_be_reported(tmp_path, capsys) -> None:
    (tmp_path / "text.nc").write_text("no data")
    (tmp_path / "folder").mkdir()
    other = xr.Dataset({"loss": ("step", torch.zeros(3).numpy())})
    (tmp_path / "other.nc").write_bytes(as_bytes(other))
    flat = table([[0.0]], [[0.0]]).drop_vars("t").assign_coords(t=("translation", [0.0]))
    (tmp_path / "flat.nc").write_bytes(as_bytes(flat))
    messages = {
        "flat.nc": "holds no `error` by `translation`",
        "absent.nc": "there is no",
        "text.nc": "is no NetCDF file that can be read",
        "folder": "isn't a sweep's store that can be read",
        "other.nc": "holds no `error` by `translation`",
    }
    for name, message in messages.items():
        assert main(["report", str(tmp_path / name), "--out", str(tmp_path / "out")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_data_of_the_diagram_cannot_end_its_script(report) -> None:
    page = (report / "report.html").read_text()
    held = re.search(r'id="diagrams">(.*?)</script>', page, re.DOTALL)
    assert held is not None
    assert len(json.loads(held[1])) == 2


CODE = """
from pathlib import Path
from discretize import Stride
Path("ran").touch()
def layer(stride, seed):
    return Stride(stride)
def raising(stride, seed):
    return lambda f: {}["out of luck"]
"""


def test_code_that_results_name_is_run_when_asked_only(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(CODE)
    text = CONFIGURATION.format(reach=[4.0], shape=[8])
    layers = "".join(f'[layers.{n}]\nmake = "mine.py:{n}"\n' for n in ("layer", "raising"))
    (tmp_path / "sweep.toml").write_text(text + layers)
    assert main(["sweep", "sweep.toml"]) == 0
    (tmp_path / "ran").unlink()
    assert main(["report", "sweep.zarr", "--out", "out"]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "layer: it is made by code, which --code runs" in page
    assert not (tmp_path / "ran").exists()
    assert main(["report", "sweep.zarr", "--out", "out", "--code"]) == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "made by code" not in page
    assert "raising: &#39;out of luck&#39;" in page
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("table", "runs"),
    [
        ({"chain": ["relu"]}, False),
        ({"random": {}}, False),
        ({"model": "torch.nn.ReLU()"}, False),
        ({"model": "timm:resnet18"}, False),
        ({"model": "mine.py:net"}, True),
        ({"model": "mine:net"}, True),
        ({"model": "timm:mine.py:net"}, True),
        ({"model": "folder (1)/mine.py:net"}, True),
        ({"make": "mine:net"}, True),
    ],
)
def test_what_runs_code(table, runs: bool) -> None:
    assert runs_code(table) == runs


def test_stores_need_zarr(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "zarr", None)
    monkeypatch.delitem(sys.modules, "equivariance.sweeping.store", raising=False)
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "stores need Zarr: pip install 'feature-fields[sweep]' (" in capsys.readouterr().err
