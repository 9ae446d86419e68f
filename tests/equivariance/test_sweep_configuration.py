"""The TOML file of a sweep: what is wrong with it is told before anything is computed."""

import json
import os

import numpy as np
import pytest
import torch
from PIL import Image

from discretize import Grid, sample
from equivariance.bad_input import BadInput
from equivariance.cli.sweep import trial
from equivariance.records import as_json
from equivariance.sweeping.building import Parts
from equivariance.sweeping.configuration import SweepConfiguration, difference, read
from equivariance.sweeping.division import cell_seed
from fields import random_bandlimited

GOOD = """
strides = [2, 3]
seeds = 2
[translations]
list = [[0.0], [1.0]]
line = { to = [3.0], count = 4 }
random = { count = 2, reach = [8.0] }
[grids.z]
shape = [12]
[grids.a]
points = 5
extent = [12.0]
[fields.z]
random = { bandlimit = 0.4, period = 12.0, channels = 2 }
[fields.a]
random = { bandlimit = 0.1, period = 12.0, channels = 2 }
[layers.z]
chain = [{ conv = 3, channels = 4 }, "relu", "blur"]
[layers.a]
chain = ["square", "mean"]
"""


def written(folder, text: str):
    (folder / "sweep.toml").write_text(text)
    return folder / "sweep.toml"


def test_a_good_file(tmp_path) -> None:
    """Names keep their order, through JSON too; seeds and translations are what they say."""
    found = read(written(tmp_path, GOOD))
    assert (list(found.layers), found.strides, found.seeds) == (["z", "a"], [2, 3], [0, 1])
    back = SweepConfiguration.of_record(json.loads(as_json(found.record)))
    assert back == found
    assert [list(t) for t in (back.layers, back.fields, back.grids)] == [["z", "a"]] * 3
    parts = Parts(back, tmp_path)
    t = parts.translations[:, 0].tolist()
    assert t[:6] == [0.0, 1.0, 0.0, 1.0, 2.0, 3.0]
    assert all(-8 <= x <= 8 and x != round(x) for x in t[6:])
    assert parts.shape == (2, 2, 2, 2, 2, 8)
    assert trial(parts) > 0


LAST = 'chain = ["square", "mean"]'
CHANGES = {
    "unknown key": ("seeds = 2", "seed = 2", r"no key 'seed': did you mean 'seeds'\?"),
    "unknown key far off": ("seeds = 2", "xyz = 2", "no key 'xyz': there are strides, seeds"),
    "unknown key of a grid": ("shape = [12]", "shpae = [12]", r"\[grids.z\].*did you mean 'shape'"),
    "unknown key of a field": ("bandlimit = 0.4", "band = 0.4", r"\[fields.z\] random.*'bandlimit'"),
    "unknown key of a layer": ('chain = ["sq', 'chian = ["sq', r"\[layers.a\].*did you mean 'chain'"),
    "unknown key of translations": ("line =", "lin =", r"\[translations\].*did you mean 'line'"),
    "unknown key of a line": ("to = [3.0]", "too = [3.0]", r"\[translations\] line.*did you mean 'to'"),
    "one key of a line too many": ("count = 4", "count = 4, from = [1.0]", r"line: there is no key 'from'"),
    "unknown key of random ones": ("reach =", "raech =", r"\[translations\] random.*did you mean 'reach'"),
    "missing count": (", count = 4", "", "line: 'count' is missing"),
    "an image that is no name": ("[fields.a]\nrandom = { bandlimit = 0.1, period = 12.0, channels = 2 }",
                                 "[fields.a]\nimage = 5", "image must be the name of a file, got 5"),
    "random without a table": ("random = { bandlimit = 0.1, period = 12.0, channels = 2 }", "random = 3",
                               r"\[fields.a\] random must be a table with bandlimit, period, channels, got 3"),
    "a function that is no name": (LAST, "make = 3", r"\[layers.a\]: make must be file.py:name or .*, got 3"),
    "a model that is no text": (LAST, "model = [3]", r"\[layers.a\]: model must be file.py:name, .*, got \[3\]"),
    "missing key": ("shape = [12]", "spacing = 1.0", "'shape' is missing"),
    "missing period": (", period = 12.0, channels = 2 }\n[fields.a]", "}\n[fields.a]", "'period' is missing"),
    "no TOML": ("seeds = 2", "seeds = = 2", "is no TOML file"),
    "no stride": ("[2, 3]", "[]", "strides must be different whole numbers, at least 1"),
    "equal strides": ("[2, 3]", "[2, 2]", "strides must be different whole numbers"),
    "stride 0": ("[2, 3]", "[0]", "strides must be different whole numbers, at least 1"),
    "norm": ("seeds = 2", 'norm = "l3"', "norm must be one of l1, l2, max, got 'l3'"),
    "rtol": ("seeds = 2", "rtol = 2.0", "rtol must be a number between 0 and 1"),
    "a layer that isn't a table": (f"[layers.a]\n{LAST}", "[layers]\na = 3", "must be a table, got 3"),
    "two kinds of a layer": (LAST, 'chain = []\nmodel = ""', "must have one of chain, model, make"),
    "no such file": (LAST, 'make = "none.py:f"', "can't read .*none.py"),
}  # fmt: skip
MADE = {
    "step": ('"relu"', '"rleu"', r"\[layers.z\]: there is no step 'rleu', but: relu, gelu"),
    "empty chain": ('["square", "mean"]', "[]", r"\[layers.a\]: a chain is a list of steps"),
    "bandlimit": ("bandlimit = 0.1", "bandlimit = -0.1", r"\[fields.a\]: bandlimit"),
    "grid": ("shape = [12]", "shape = [0]", r"\[grids.z\]: "),
    "grids of several d": ("shape = [12]", "shape = [12, 12]", "grids of a sweep share d"),
    "a line that no memory holds": ("count = 4", "count = 1000000000000", r"\[translations\]: a line of so many"),
    "random ones that no memory holds": ("count = 2", "count = 1000000000000", r"\[translations\]: so many random"),
    "points that no memory holds": ("points = 5", "points = 1000000000000", r"\[grids.a\]: so many points would need"),
    "no translations": ("list = [[0.0], [1.0]]\nline = { to = [3.0], count = 4 }\nrandom = { count = 2,",
                        "random = { count = 0,", r"\[translations\]: there are none"),
    "translations of another d": ("[[0.0], [1.0]]", "[[0.0, 1.0]]", r"\[translations\]: a translation in 1 dim"),
    "a model": (LAST, 'model = "torch.nn.Conv1d(2)"', r"\[layers.a\]: .*Conv1d"),
    "a package": (LAST, 'make = "math:pi"', r"\[layers.a\]: math:pi is a float: expected a function"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_bad_files(tmp_path, old, new, message) -> None:
    assert old in GOOD
    with pytest.raises(BadInput, match=message):
        read(written(tmp_path, GOOD.replace(old, new, 1)))


@pytest.mark.parametrize(("old", "new", "message"), MADE.values(), ids=MADE.keys())
def test_what_cannot_be_made(tmp_path, old, new, message) -> None:
    assert old in GOOD
    configuration = read(written(tmp_path, GOOD.replace(old, new, 1)))
    with pytest.raises(BadInput, match=message):
        trial(Parts(configuration, tmp_path))


RANDOM = "random = { bandlimit = 0.1, period = 12.0, channels = 2 }"
MAKES = """
import torch
from fields import random_bandlimited, stack
def field(seed):
    return random_bandlimited(1, 2, 0.3, 12.0, seed)
def plane(seed):
    return random_bandlimited(2, 2, 0.3, 12.0, seed)
def batch(seed):
    return field(seed).translate(torch.zeros(3, 1))
def number(seed, stride=0):
    return 3
"""


@pytest.mark.parametrize(
    ("old", "name", "message"),
    [
        (RANDOM, "number", r"\[fields.a\]: expected a Field on R\^1 without batch, got a int"),
        (RANDOM, "plane", r"\[fields.a\]: .*without batch, got a .* on R\^2$"),
        (RANDOM, "batch", r"\[fields.a\]: .*without batch, got a .* on R\^1 with batch \(3,\)"),
        (LAST, "number", r"\[layers.a\]: expected a layer, got a int"),
    ],
)
def test_functions_that_make_something_else(tmp_path, old, name, message) -> None:
    (tmp_path / "mine.py").write_text(MAKES)
    text = GOOD.replace(old, f'make = "mine.py:{name}"', 1)
    with pytest.raises(BadInput, match=message):
        trial(Parts(read(written(tmp_path, text)), tmp_path))


def test_fields_from_functions_and_pictures(tmp_path) -> None:
    """A function is given the seed of the field's name and of the sweep; a picture is the same for all seeds."""
    (tmp_path / "mine.py").write_text(MAKES)
    text = GOOD.replace(RANDOM, 'make = "mine.py:field"')
    made = Parts(read(written(tmp_path, text)), tmp_path)
    x = torch.linspace(0, 12, 7, dtype=torch.float64)[:, None]
    for seed in (0, 1):
        expected = random_bandlimited(1, 2, 0.3, 12.0, cell_seed(field="a", seed=seed))
        assert torch.equal(made.field("a", seed)(x), expected(x))
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "p.png")
    plane = """
    [translations]
    list = [[0.0, 1.0]]
    [grids.a]
    shape = [8, 8]
    [fields.a]
    image = "p.png"
    [layers.a]
    chain = ["stride"]
    """
    drawn = Parts(read(written(tmp_path, plane)), tmp_path)
    assert drawn.shape == (1,) * 6
    for seed in (0, 1):
        at = sample(drawn.field("a", seed), Grid((8, 8), 1.0)).values
        np.testing.assert_allclose(at[0], pixels / 255, atol=1e-15)


def test_models_are_told_the_stride(tmp_path) -> None:
    text = "torch.nn.Conv1d(2, 1, 3, stride={stride}, padding=1)"
    parts = Parts(read(written(tmp_path, GOOD.replace(LAST, f'model = "{text}"'))), tmp_path)
    for stride in (2, 3):
        assert parts.layer("a", stride, (1.0,), 2, 0).module.stride == (stride,)


def test_no_file(tmp_path) -> None:
    with pytest.raises(BadInput, match=r"can't read .*: No such file"):
        read(tmp_path / "sweep.toml")


def test_what_has_no_end_is_no_file(tmp_path) -> None:
    """Its digest would never be done."""
    os.mkfifo(tmp_path / "layers.py")
    with pytest.raises(BadInput, match=r"layers\.py is no file"):
        read(written(tmp_path, GOOD.replace(LAST, 'make = "layers.py:f"')))


def test_files_that_layers_name_are_part_of_the_configuration(tmp_path) -> None:
    """A store made with other code is told apart."""
    text = GOOD.replace(LAST, 'make = "layers.py:f"')
    (tmp_path / "layers.py").write_text("f = 1")
    before = read(written(tmp_path, text)).record
    (tmp_path / "layers.py").write_text("f = 2")
    assert difference(before, read(tmp_path / "sweep.toml").record) == "files"


UNSEEDED = """
import torch
from layers import TorchModel
def f(stride, seed):
    return TorchModel(torch.nn.Conv1d(2, 1, 3, stride=stride, padding=1).double())
"""


def test_layers_that_draw_are_the_same_whichever_cell_makes_them(tmp_path) -> None:
    """A resumed sweep, or another worker, makes them at another cell: with the numbers of the first."""
    (tmp_path / "layers.py").write_text(UNSEEDED)
    configuration = read(written(tmp_path, GOOD.replace(LAST, 'make = "layers.py:f"')))
    one, other = (Parts(configuration, tmp_path) for _ in range(2))
    cells = [((1, 0, 0, 0, 0), slice(0, 4)), ((1, 0, 0, 0, 0), slice(4, 8))]
    before = torch.get_rng_state()
    forth = [one.errors(*cell) for cell in cells]
    back = [other.errors(*cell) for cell in reversed(cells)][::-1]
    assert all(torch.equal(a, b) for a, b in zip(forth, back, strict=True))
    assert not torch.equal(one.errors((1, 0, 0, 0, 1), slice(0, 4)), forth[0])
    assert torch.equal(torch.get_rng_state(), before)
