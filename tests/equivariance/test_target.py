"""What texts name models, what is never evaluated, and what is said of the rest."""

import sys

import pytest
import torch
from torch import nn

from equivariance.bad_input import BadInput
from equivariance.measuring.target import LIBRARIES, read_target, runs_code

SOURCE = """
import torch
from torch import nn
import helper_of_target

model = nn.Conv2d(1, 2, 3)
number = 3

def factory():
    return nn.Sequential(nn.Conv2d(1, helper_of_target.WIDTH, 3))

def wants(argument):
    return nn.ReLU()

def gives_number():
    return 3

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)

class Holder:
    net = nn.ReLU()
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "helper_of_target.py").write_text("WIDTH = 5")
    path = tmp_path / "models.py"
    path.write_text(SOURCE)
    before = list(sys.path)
    yield path
    assert sys.path == before
    sys.modules.pop("helper_of_target", None)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("torch.nn.Conv2d(3, 8, 3, stride=2)", nn.Conv2d),
        ("nn.Conv2d(3, 8, (3, 5), padding=[1, 2], bias=False)", nn.Conv2d),
        ("torch.nn.Sequential(torch.nn.Conv1d(1, 1, 3), torch.nn.LeakyReLU(-0.1))", nn.Sequential),
        ("torch.nn.Upsample(size=None, scale_factor=2.0, mode='nearest')", nn.Upsample),
        (" torch.nn.ReLU() ", nn.ReLU),
        ("torch.nn:ReLU", nn.ReLU),
        ("torch.nn.modules.activation:ReLU", nn.ReLU),
    ],
)
def test_texts_that_name_models(text, kind):
    assert type(read_target(text)) is kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model", nn.Conv2d),
        ("factory", nn.Sequential),
        ("Net", nn.Module),
        ("Holder.net", nn.ReLU),
    ],
)
def test_names_in_files(file, name, kind):
    assert isinstance(read_target(f"{file}:{name}"), kind)


def test_names_of_files_may_have_brackets(tmp_path):
    (tmp_path / "net (1)").mkdir()
    (tmp_path / "net (1)" / "models (2).py").write_text("from torch import nn\nnet = nn.ReLU()")
    text = f"{tmp_path}/net (1)/models (2).py:net"
    assert type(read_target(text)) is nn.ReLU
    assert runs_code(text)


def test_weights_are_drawn_with_the_seed_and_the_global_generator_is_put_back():
    state = torch.get_rng_state()
    one, same, other = (read_target("nn.Linear(3, 3)", seed) for seed in (1, 1, 2))
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('false')",
        "torch.nn.Conv2d(3, __import__('os'), 3)",
        "torch.load('x')",
        "torch.nn.modules.module.torch.load('x')",
        "torch.nn.functional.relu(3)",
        "torch.nn.ReLU().forward(3)",
        "(lambda: 3)()",
        "torch.nn.Linear(2 ** 2, 3)",
        "torch.nn.Linear([x for x in (1,)], 3)",
        "torch.nn.Linear(*(3, 3))",
        "torch.nn.Linear(**{'a': 3})",
        "torch.nn.Linear(f'{3}', 3)",
        "torch.nn.Linear(-'3', 3)",
        "torch.nn.Linear(-(3, 3), 3)",
        "torch.nn.Nothing(3)",
        "torch.nn.__class__('x')",
        "(3)",
        "torch.nn.Linear(3",
        "print(3)",
    ],
)
def test_nothing_but_layers_with_constants_is_made(text):
    with pytest.raises(BadInput, match=r"constant|no layer|no call|one by one"):
        read_target(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing", "names no model: expected file.py:name, package.module:name"),
        ("torch.nn.Linear(3)", "can't be made: TypeError"),
        ("nowhere.py:model", "there is no file nowhere.py"),
        ("no_such_package:model", "can't be imported: ModuleNotFoundError"),
        ("torch.nn:Nothing", "torch.nn has no 'Nothing'"),
        ("json:__name__", "is a str: expected an nn.Module"),
        ("timm:resnet18", "timm isn't installed: pip install timm"),
        ("torchvision:resnet18", "torchvision isn't installed: pip install torchvision"),
        (":x", "names no model"),
    ],
)
def test_bad_texts_say_what_was_expected(text, message, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, package=None: None)
    with pytest.raises(BadInput, match=message):
        read_target(text)


LIBRARY = """
from torch import nn

def made(name, **options):
    if name not in ("linear", "number"):
        raise RuntimeError(f"Unknown model ({name})")
    if options != OPTIONS:
        raise RuntimeError("weights are fetched")
    return 3 if name == "number" else nn.Linear(3, 2)
"""


@pytest.fixture
def libraries(tmp_path, monkeypatch):
    """Packages that make models where torchvision and timm do, of one model without weights."""
    for package, file, made in (
        ("torchvision", "models.py", "OPTIONS = {'weights': None}\nget_model = made"),
        ("timm", "__init__.py", "OPTIONS = {'pretrained': False}\ncreate_model = made"),
    ):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
        (tmp_path / package / file).write_text(LIBRARY + made)
        for name in (package, f"{package}.models"):
            monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("torchvision", "torchvision.models", "timm"):
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("library", LIBRARIES)
def test_models_of_libraries_have_random_weights(library):
    """Those of the seed: nothing is fetched."""
    one, same, other = (read_target(f"{library}:linear", seed) for seed in (1, 1, 2))
    assert type(one) is nn.Linear
    assert torch.equal(one.weight, same.weight)
    assert not torch.equal(one.weight, other.weight)


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet", r"{} makes no model 'resnet': RuntimeError: Unknown model \(resnet\)"),
        ("number", "{}:number is a int: expected an nn.Module"),
    ],
)
def test_models_that_libraries_do_not_make(library, name, message):
    with pytest.raises(BadInput, match=message.format(library)):
        read_target(f"{library}:{name}")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", r"has no 'nothing': there are .*Net, model"),
        ("number", "is a int: expected an nn.Module"),
        ("wants", "raised when called without arguments: TypeError"),
        ("gives_number", "makes a int: expected an nn.Module"),
    ],
)
def test_bad_names_in_files(file, name, message):
    with pytest.raises(BadInput, match=message):
        read_target(f"{file}:{name}")


@pytest.mark.parametrize("source", ["import nothing_there", "raise SystemExit(3)", "def"])
def test_files_that_cannot_be_imported(tmp_path, source):
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(BadInput, match="can't be imported"):
        read_target(f"{path}:model")
