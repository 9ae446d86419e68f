"""The experiment `stride` as users run it: what it finds, prints and writes."""

import base64
import html.parser
import json
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from matplotlib.image import imread

from discretize import Grid, sample
from equivariance.experiments import EXPERIMENTS, StrideSettings
from equivariance.experiments.rivals import networks
from equivariance.experiments.stride import inputs, translations, worst_whole
from equivariance.verdicts import judge

ROUND_OFF = 1e-13
NETWORKS = [
    "no stride",
    "strided convolution",
    "max pooling",
    "blur pooling",
    "equivariant subsampling",
    "comoving subsampling",
]
STRIDED = NETWORKS[1:4]
FIELDS = ["photograph", "random"]
PICTURES = ["stride-error.png", "stride-diagram-photograph.png", "stride-diagram-random.png"]


def render_page(experiment, data, pictures):
    """The page of results that are there."""
    return experiment.told(data).page(pictures)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """One run of the quick demo in a process of its own, its output piped."""
    out = tmp_path_factory.mktemp("demo") / "out"
    command = [sys.executable, "-W", "error", "-m", "equivariance", "run", "stride", "--quick"]
    done = subprocess.run(
        [*command, "--out", str(out)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with xr.open_dataset(out / "stride.nc") as data:
        data.load()
    return SimpleNamespace(out=out, text=done.stdout, log=done.stderr, data=data)


def errors(demo, layer, grid="grid"):
    """Errors over fields and translations, and translations (T, 2) in pixels."""
    cell = demo.data["error"].sel(layer=layer, grid=grid).transpose("field", "translation")
    return cell.to_numpy(), demo.data["t"].transpose("translation", "axis").to_numpy()


# --- what it finds -----------------------------------------------------------------------------


@pytest.mark.parametrize("layer", NETWORKS)
def test_continuous_networks_commute_with_every_translation(demo, layer):
    assert errors(demo, layer, "continuous")[0].max() <= ROUND_OFF


@pytest.mark.parametrize("layer", ["no stride", "equivariant subsampling"])
def test_whole_pixels_without_a_stride_and_with_a_comoving_one(demo, layer):
    error, t = errors(demo, layer)
    whole = (t % 1 == 0).all(1)
    assert error[:, whole].max() <= ROUND_OFF
    assert error[:, ~whole].min() > 1e-3


@pytest.mark.parametrize("layer", STRIDED)
def test_multiples_of_the_stride_with_a_plain_one(demo, layer):
    error, t = errors(demo, layer)
    multiple = (t % 2 == 0).all(1)
    assert error[:, multiple].max() <= ROUND_OFF
    assert error[:, ~multiple].min() > 1e-3


def test_every_real_translation_with_a_comoving_grid_and_no_aliases(demo):
    """Where no other network does better than whole pixels, on either field."""
    assert errors(demo, "comoving subsampling")[0].max() <= 1e-12
    t = errors(demo, "no stride")[1]
    between = (t % 1 != 0).any(1)
    for layer in NETWORKS[:-1]:
        assert errors(demo, layer)[0][:, between].min() > 1e-3


@pytest.mark.parametrize("size", [8, 9])
def test_inputs_have_no_waves_at_nyquist(size):
    """Moved by half a sample and back they are what they were, even for the largest band."""
    settings = StrideSettings(size=size, stride=size // 4, bandlimit=0.5)
    grid = Grid((size, size), 1.0)
    for field in inputs(settings).values():
        f = sample(field.field, grid)
        there = f.translate([0.5, 0.5]).resample(grid)
        again = there.translate([-0.5, -0.5]).resample(grid)
        assert float((again.values - f.values).abs().max()) <= 1e-14
        assert float(f.values.std()) > 0.1


def test_blurring_makes_the_error_smaller_but_not_zero(demo):
    blurred, strided = (errors(demo, k)[0].max(1) for k in ("blur pooling", "strided convolution"))
    assert (blurred < strided / 2).all()


def test_translations_are_fractions_of_a_pixel_up_to_twice_the_stride():
    t, direction = translations(StrideSettings(stride=3, size=9, steps=5))
    along = {name: t[[d == name for d in direction]].numpy() for name in direction}
    fifths = np.arange(31) / 5
    assert np.array_equal(along["x1"], np.stack([fifths, 0 * fifths], 1))
    assert np.array_equal(along["x2"], np.stack([0 * fifths, fifths], 1))
    assert np.array_equal(along["diagonal"], np.stack([fifths, fifths], 1))


def test_all_networks_have_the_same_weights_and_seeds_change_them():
    def weights(seed):
        return {
            name: [p.detach().numpy() for p in net.module.parameters()]
            for name, net in networks(StrideSettings(seed=seed)).items()
        }

    first, second = weights(0), weights(1)
    for name in NETWORKS:
        own, other = ([w for w in net[name] if w.ndim > 1] for net in (first, second))
        assert len(own) == 2
        for mine, common, theirs in zip(own, first["no stride"], other, strict=True):
            assert np.array_equal(mine, common)
            assert not np.array_equal(mine, theirs)


# --- what it prints ----------------------------------------------------------------------------


def test_progress_is_silent_when_piped(demo):
    assert "\r" not in demo.log
    assert "%" not in demo.log
    assert "Traceback" not in demo.log


def test_the_table_has_every_verdict(demo):
    rows = [line.split("  ") for line in demo.text.splitlines()]
    cells = [[c.strip() for c in row if c.strip()] for row in rows]
    table = [row for row in cells if row and row[0] in NETWORKS]
    assert [row[0] for row in table] == 4 * NETWORKS
    assert not any("broken" in line for line in demo.text.splitlines())
    expected = sorted(judge(demo.data, 2), key=lambda r: (FIELDS.index(r.field), r.grid))
    for row, judged in zip(table, expected, strict=True):
        assert row[0] == judged.layer
        assert row[1:] == list(judged.verdict.words)


def test_the_table_fits_a_terminal(demo):
    table = demo.text.partition("Written")[0]
    assert max(map(len, table.splitlines())) <= 100


# --- what it writes ----------------------------------------------------------------------------


def test_numbers_are_labelled(demo):
    data = demo.data
    assert dict(data.sizes) == {"layer": 6, "field": 2, "grid": 2, "translation": 51, "axis": 2}
    assert list(data["layer"]) == NETWORKS
    assert list(data["field"]) == FIELDS
    assert data["error"].attrs["units"] == "1"
    assert "long_name" in data["t"].attrs


def test_verdicts_in_the_file_are_those_of_its_numbers(demo):
    for row in judge(demo.data, 2):
        cell = demo.data.sel(layer=row.layer, field=row.field, grid=row.grid)
        assert cell["verdict"].item() == row.verdict.kind
        assert cell["subgroup"].item() == row.verdict.subgroup.name
        assert cell["commutes_with"].item() == row.verdict.commutes_with
        for name in ("error_there", "error_elsewhere"):
            np.testing.assert_equal(cell[name].item(), getattr(row.verdict, name))


def test_the_file_says_where_it_comes_from(demo):
    attributes = demo.data.attrs
    configuration = json.loads(attributes["configuration"])
    assert configuration["experiment"] == "stride"
    assert configuration["size"] == 32  # what was run, not what --quick was given
    assert attributes["command"] == f"equivariance run stride --out {demo.out} --quick"
    assert {"torch", "numpy", "xarray", "python", "date", "seed", "threads"} <= set(attributes)
    assert "averaged over blocks of 16 × 16" in json.loads(attributes["fields"])["photograph"]
    assert "torus" in json.loads(attributes["fields"])["photograph"]


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_pictures(demo, name):
    pixels = imread(demo.out / name)
    assert min(pixels.shape[:2]) > 600
    assert pixels[..., :3].std() > 0.05


def test_diagrams_show_the_worst_whole_translation(demo):
    cell = demo.data.sel(layer="strided convolution", field="photograph", grid="grid")
    t = worst_whole(cell)
    whole = (demo.data["t"] % 1 == 0).all("axis").to_numpy()
    assert all(x == round(x) for x in t)
    own = (demo.data["t"] == list(t)).all("axis").to_numpy()
    assert cell["error"].to_numpy()[own].max() == cell["error"].to_numpy()[whole].max()


class Page(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page(demo):
    return (demo.out / "stride.html").read_text(encoding="utf-8")


def test_the_page_fetches_nothing(page):
    parsed = Page(page)
    assert not {tag for tag, _ in parsed.tags} & {"script", "link", "iframe", "object", "base"}
    for tag, attributes in parsed.tags:
        for key in ("src", "href", "srcset", "data", "action", "background"):
            assert (attributes.get(key) or "data:").startswith("data:"), (tag, key)
    assert not re.search(r"url\(|@import|https?://", page)


def test_the_page_holds_the_pictures(demo, page):
    images = [a for tag, a in Page(page).tags if tag == "img"]
    assert [base64.b64decode(a["src"].partition(",")[2]) for a in images] == [
        (demo.out / name).read_bytes() for name in PICTURES
    ]
    assert all(len(a["alt"]) > 40 for a in images)


def test_the_page_tells_the_same_as_the_table(demo, page):
    cells = [re.sub(r"<[^>]+>", "", c).strip() for c in re.findall(r"<t[hd]>.*?</t[hd]>", page)]
    for row in judge(demo.data, 2):
        assert row.layer in cells
        assert row.verdict.subgroup.name in cells
    assert "broken" not in " ".join(Page(page).words[20:])
    assert "24 of 24, as predicted" in " ".join(" ".join(Page(page).words).split())


def test_the_page_owns_up_to_what_was_not_predicted(demo):
    """A strided network that were to commute with every whole pixel."""
    data = demo.data.copy(deep=True)
    data["error"].loc[{"layer": "strided convolution"}] = data["error"].sel(layer="no stride")
    pictures = {name.removesuffix(".png"): b"picture" for name in PICTURES}
    made = render_page(EXPERIMENTS["stride"], data, pictures).decode()
    assert 'class="found differs">' in made
    assert "22 of 24, not as predicted" in made
    assert made.count("<td>no: 2Z × 2Z</td>") == 2
    assert made.count("<td>yes</td>") == 22


def test_the_page_says_how_to_get_it_again(demo, page):
    assert f"<pre>equivariance run stride --out {demo.out} --quick</pre>" in page
    for value in (demo.data.attrs["torch"], demo.data.attrs["date"]):
        assert value in page
