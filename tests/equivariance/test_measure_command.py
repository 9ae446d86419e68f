"""`equivariance measure`: exit codes, messages, files; what would mend a model; the pages and pictures."""

import html.parser
import re
import shlex

import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.image import imread
from torch import nn

from equivariance.cli import main
from equivariance.measuring import report_page as measure_report
from equivariance.measuring.measured import findings
from equivariance.measuring.remedy import proposed_sizes, remeasured
from equivariance.measuring.report_page import FILES
from equivariance.measuring.watched import ModelFailed
from tests.equivariance.models import MODELS, seeded

POOL = "torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3, padding=1), torch.nn.MaxPool2d(2))"
RING = "torch.nn.Conv2d(1, 2, 3, padding=1, padding_mode='circular')"
TINY = ["--size", "16", "--translations", "6", "--limit", "1", "--plain"]
FILE = """
import torch
from torch import nn

class Fails(nn.Module):
    def forward(self, x):
        raise RuntimeError("out of luck")

class Elsewhere(nn.Module):
    def forward(self, x):
        return x.to("meta") + x

class Nowhere(nn.Module):
    def forward(self, x):
        return x.sum()
"""


@pytest.fixture
def _no_pictures(monkeypatch):
    """Pictures take most of the time."""
    monkeypatch.setattr(measure_report, "draw", lambda *_: dict.fromkeys(FILES[1:4], b"picture"))


def measured(out, target, *flags):
    return main(["measure", target, "--out", str(out), *map(str, flags)])


def refused(capsys, code) -> str:
    said = capsys.readouterr()
    assert code == 2
    assert said.out == ""
    last = said.err.splitlines()[-1]
    assert last.startswith("equivariance: ")
    return last


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A whole report, with pictures and remedies."""
    out = tmp_path_factory.mktemp("report") / "out"
    assert measured(out, POOL, "--size", 16, "--limit", 1, "--dtype", "float64") == 0
    with xr.open_dataset(out / FILES[0], engine="scipy") as data:
        return out, data.load()


class Page(html.parser.HTMLParser):
    """The page's tags, all closed, and its text."""

    VOID = ("meta", "img", "br")

    def __init__(self, text):
        super().__init__()
        self.open, self.sources, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.sources += [v for k, v in attrs if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_report_is_whole(report):
    out, data = report
    assert {p.name for p in out.iterdir()} == set(FILES)
    page = Page((out / FILES[-1]).read_text("utf-8"))
    assert page.open == []
    assert all(s.startswith("data:image/png") for s in page.sources)
    assert len(page.sources) == 3
    for name in FILES[1:4]:
        assert np.ptp(imread(out / name)[..., :3]) > 0.5
    for finding in findings(data, "circular"):
        assert finding.layer in page.text
    assert "2Z × 2Z" in page.text
    assert "comoving frame" in page.text


def test_the_report_says_what_would_mend_the_model(report):
    _, data = report
    error = data["remedy_error"].isel(input=0)
    t = data["t"].transpose("translation", "axis").to_numpy()
    multiples = (t % 2 == 0).all(1)

    def worst(remedy, which):
        return float(np.nanmax(error.sel(remedy=remedy).to_numpy()[which]))

    assert worst("as is", multiples) > 1e-2
    assert worst("circular padding", multiples) < 1e-13
    assert worst("BlurPool, 4 taps, circular padding", multiples) < 1e-13
    blurred = worst("BlurPool, 4 taps, circular padding", ~multiples)
    assert 2 * blurred < worst("circular padding", ~multiples)
    assert worst("comoving frame", slice(None)) < 1e-9


@pytest.mark.usefixtures("_no_pictures")
def test_the_command_in_the_results_gives_them_again(report, tmp_path, monkeypatch):
    _, data = report
    monkeypatch.chdir(tmp_path)
    words = shlex.split(data.attrs["command"])
    assert words[0] == "equivariance"
    words[words.index("--out") + 1] = "again"
    assert main(words[1:]) == 0
    with xr.open_dataset(tmp_path / "again" / FILES[0], engine="scipy") as again:
        xr.testing.assert_equal(again.load(), data)
        assert again.attrs["configuration"] == data.attrs["configuration"]


@pytest.mark.usefixtures("_no_pictures")
class TestExitCodes:
    def test_0_where_a_tolerance_is_met(self, tmp_path, capsys):
        assert measured(tmp_path, RING, *TINY, "--tolerance", "1e-5") == 0
        assert "--tolerance 1e-05 is met" in capsys.readouterr().out

    def test_1_where_it_is_exceeded(self, tmp_path, capsys):
        assert measured(tmp_path, POOL, *TINY, "--tolerance", "1e-3") == 1
        assert "isn't equivariant: relative error" in capsys.readouterr().out
        assert (tmp_path / FILES[-1]).exists()

    def test_multiples_only(self, tmp_path):
        pool = "torch.nn.MaxPool2d(2)"
        assert measured(tmp_path, pool, *TINY, "--tolerance", "1e-3") == 1
        assert measured(tmp_path, pool, *TINY, "--tolerance", "1e-3", "--only-multiples") == 0

    @pytest.mark.parametrize(
        ("target", "flags", "message"),
        [
            ("nothing", [], "names no model"),
            ("torch.nn.Conv2d(1)", [], "can't be made"),
            ("timm:none", [], "timm"),
            ("{file}:Fails", [], "takes none of the sizes .*give --size.*out of luck"),
            ("{file}:Fails", ["--size", "8"], r"raised on an input of shape \(1, 1, 8, 8\)"),
            ("{file}:Elsewhere", ["--size", "8"], "can't be measured: the model raised.*meta"),
            (
                "{file}:Nowhere",
                ["--size", "8"],
                "no floating point tensor with an axis for the batch",
            ),
            ("{file}:Missing", [], "has no 'Missing': there are Elsewhere, Fails, Nowhere"),
            ("torch.nn.Linear(3, 3)", ["--size", "8"], "can't be measured: the model raised"),
            (POOL, ["--size", "0"], "positive numbers"),
            (POOL, ["--translations", "0"], "--translations must be at least 1"),
            (POOL, ["--channels", "-1"], "--channels must be at least 0"),
            (POOL, ["--seed", str(10**24)], "--seed must lie between 0 and"),
            (POOL, ["--threads", "0"], "--threads must lie between 1 and"),
            (POOL, ["--tolerance", "-1"], "--tolerance must be a number"),
            (POOL, ["--boundary", "window"], "--boundary window needs --inputs"),
            (POOL, ["--inputs", "nowhere"], "there is no file or folder nowhere"),
            (POOL, ["--layers", "none", "--size", "8"], "no layer fits 'none'"),
            (POOL, ["--channels", "3", "--size", "8"], "the model raised"),
        ],
    )
    def test_2_and_nothing_left_behind(self, tmp_path, capsys, target, flags, message):
        (tmp_path / "models.py").write_text(FILE)
        out = tmp_path / "new" / "out"
        code = measured(out, target.format(file=tmp_path / "models.py"), *flags)
        assert re.search(message, refused(capsys, code))
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize("shape", [(), (3,), (4, 4)])
    def test_2_where_a_file_holds_no_maps(self, tmp_path, capsys, shape):
        np.save(tmp_path / "x.npy", np.zeros(shape))
        code = measured(tmp_path / "out", POOL, "--inputs", tmp_path / "x.npy")
        assert "expected (B, c, X1, …, Xd)" in refused(capsys, code)
        assert not (tmp_path / "out").exists()

    def test_a_tolerance_is_held_against_what_was_compared(self, tmp_path, capsys):
        windows = "torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.MaxPool2d(2))"
        assert measured(tmp_path, windows, *TINY, "--tolerance", "1e-5") == 0
        said = capsys.readouterr().out
        assert re.search(r"is met at the \d of 6 translations that were compared", said)
        assert "between pixels: nothing was compared" in said

    def test_results_of_another_model_are_kept(self, tmp_path, capsys):
        assert measured(tmp_path, RING, *TINY) == 0
        before = (tmp_path / FILES[0]).read_bytes()
        capsys.readouterr()
        assert "--overwrite" in refused(capsys, measured(tmp_path, POOL, *TINY))
        assert (tmp_path / FILES[0]).read_bytes() == before
        assert measured(tmp_path, POOL, *TINY, "--overwrite") == 0

    def test_a_tensor_file_tells_the_size(self, tmp_path):
        np.save(tmp_path / "x.npy", np.random.default_rng(0).random((2, 1, 12, 10)))
        flags = ["--inputs", tmp_path / "x.npy", "--translations", 6, "--plain"]
        assert measured(tmp_path / "out", POOL, *flags) == 0
        with xr.open_dataset(tmp_path / "out" / FILES[0], engine="scipy") as data:
            assert str(data["shape"].to_numpy()[0]) == "2 × 12 × 10"

    def test_one_and_three_axes(self, tmp_path):
        for dim in (1, 3):
            target = f"torch.nn.Conv{dim}d(1, 2, 3, padding=1)"
            flags = ["--size", 8, "--translations", 6, "--limit", 1]
            assert measured(tmp_path / str(dim), target, *flags) == 0


# --- remedies --------------------------------------------------------------------------------------


def test_sizes_that_all_strides_divide():
    model = nn.Sequential(nn.Conv2d(1, 1, 3, 2, 1), nn.Conv2d(1, 1, 3, 2, 1), nn.MaxPool2d(2))
    assert proposed_sizes(model, (64, 64), 1) == []
    sizes = proposed_sizes(model, (30, 41), 1)
    assert sizes[0] == (32, 40)
    assert all(n % 8 == 0 for s in sizes for n in s)
    assert proposed_sizes(nn.Conv2d(1, 1, 3), (30, 41), 1) == []


def test_sizes_that_the_model_does_not_take_are_not_proposed():
    # 28 to 31 pixels make 7 samples; 4 divides 28 only
    model = nn.Sequential(nn.MaxPool1d(4), nn.Flatten(), nn.Linear(7, 3))
    assert proposed_sizes(model, (30,), 1) == [(28,)]


def test_remedies_that_the_model_does_not_take_are_left_out():
    """14 samples of 16 pixels lie on no grid of the period, so they can't be moved back from a comoving frame."""
    conv = nn.Conv1d(1, 2, 3, dtype=torch.float64)
    error = remeasured(conv, None, [[1.0], [2.0]], (16,), limit=2)["error"]
    assert "comoving frame" not in error["remedy"]
    assert {"as is", "circular padding"} <= set(error["remedy"].to_numpy())
    assert float(error.sel(remedy=["as is", "circular padding"]).max()) < 1e-14  # nothing is padded


def test_a_model_that_fails_as_it_is_has_no_remedies():
    with pytest.raises(ModelFailed, match="the model raised on an input of shape"):
        remeasured(nn.Linear(3, 3), None, [[1.0]], (16,), limit=1)


@pytest.mark.parametrize("name", MODELS)
def test_remedies_need_no_changes_to_the_model(name):
    model = seeded(MODELS[name])
    t = [[4.0, 4.0], [1.0, 0.0], [0.4, 0.3]]
    data = remeasured(model, None, t, (16, 16), limit=1)
    assert set(data["remedy"].to_numpy()) >= {"as is", "circular padding", "comoving frame"}
    error = data["error"].isel(input=0).to_pandas()
    assert error.loc["comoving frame"].max() < 1e-6
    assert error.loc["as is"].max() > 1e-3
    if name != "transformer":
        assert error.loc["circular padding"][0] < 1e-13
    assert not any(p.grad is not None for p in model.parameters())
    assert torch.is_grad_enabled()
