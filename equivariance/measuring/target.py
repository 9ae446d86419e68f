"""Which model a line of text means.

    file.py:name                              a module, or a function or class that makes one, in a file
    package.module:name                       the same, importable
    torch.nn.Conv2d(3, 8, 3, stride=2)        names under torch.nn with constant arguments, or such calls in turn
    torchvision:NAME    timm:NAME             with random weights, where the library is installed

The third kind is read as a syntax tree and never evaluated: nothing but torch.nn's own layers can be made by it. The
first two run the named file.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from equivariance.bad_input import BadInput
from equivariance.measuring.watched import said

KINDS = "file.py:name, package.module:name, torch.nn.NAME(…), torchvision:NAME or timm:NAME"
LIBRARIES = ("torchvision", "timm")


def read_target(text: str, seed: int = 0) -> nn.Module:
    """The model that a text means.

    Parameters
    ----------
    text : str
        As above.
    seed : int
        Of the weights that are drawn in making it; torch's global generator is put back afterwards.

    Raises
    ------
    BadInput
        With what was expected, and what is wrong.

    Examples
    --------
    >>> from equivariance.measuring.target import read_target
    >>> read_target("torch.nn.Conv2d(3, 8, 3, stride=2)")
    Conv2d(3, 8, kernel_size=(3, 3), stride=(2, 2))
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if _is_call(text):
            return _layer(text)
        if library := _library(text):
            return _from_library(library, text.removeprefix(f"{library}:"))
        return _made(read_name(text), text)


def runs_code(text: str) -> bool:
    """Whether `read_target` runs code that a text names: it means neither torch.nn's layers nor a library's model."""
    return not (_is_call(text) or _library(text))


def _is_call(text: str) -> bool:
    """Whether there are arguments; the name of a file may have brackets, too."""
    return "(" in text and not text.rpartition(":")[0].endswith(".py")


def _library(text: str) -> str | None:
    """The library that a text names a model of."""
    place, _, name = text.rpartition(":")
    return place if place in LIBRARIES and name else None


def read_name(text: str) -> Any:
    """What file.py:name or package.module:name means."""
    place, colon, name = text.rpartition(":")
    if not colon or not place or not name:
        raise BadInput(f"{text!r} names no model: expected {KINDS}")
    module = _file(place) if place.endswith(".py") else _package(place)
    return _attribute(module, place, name)


def _made(value: Any, text: str) -> nn.Module:
    """The module that a named thing is or makes."""
    if isinstance(value, nn.Module):
        return value
    if not callable(value):
        raise BadInput(
            f"{text} is a {type(value).__name__}: expected an nn.Module, or what makes one when it is called"
        )
    try:
        made = value()
    except Exception as error:
        raise BadInput(f"{text} raised when called without arguments: {said(error)}") from error
    if not isinstance(made, nn.Module):
        raise BadInput(f"{text} makes a {type(made).__name__}: expected an nn.Module")
    return made


def _attribute(module: Any, place: str, name: str) -> Any:
    value = module
    for part in name.split("."):
        if not hasattr(value, part):
            there = sorted(n for n in vars(module) if _makes_modules(getattr(module, n)))
            known = f": there are {', '.join(there)}" if there else ""
            raise BadInput(f"{place} has no {name!r}{known}")
        value = getattr(value, part)
    return value


def _makes_modules(value: Any) -> bool:
    if isinstance(value, type):
        return issubclass(value, nn.Module)
    return isinstance(value, nn.Module)


def _file(place: str) -> Any:
    path = Path(place)
    if not path.is_file():
        raise BadInput(f"there is no file {place}")
    spec = importlib.util.spec_from_file_location(f"_target_{path.stem}", path)
    assert spec is not None, "the name of the file ends in .py"
    assert spec.loader is not None, "it is no folder"
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses and pickles look it up
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # as `python file.py` does
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{place} can't be imported: {said(error)}") from error
    finally:
        sys.path.remove(folder)
    return module


def _package(place: str) -> Any:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(place)
    except (Exception, SystemExit) as error:
        raise BadInput(f"{place} can't be imported: {said(error)} (expected {KINDS})") from error
    finally:
        sys.path.remove("")


def _from_library(library: str, name: str) -> nn.Module:
    if importlib.util.find_spec(library) is None:
        raise BadInput(f"{library} isn't installed: pip install {library}")
    try:
        if library == "timm":
            make: Callable[..., Any] = importlib.import_module("timm").create_model
            made = make(name, pretrained=False)
        else:
            make = importlib.import_module("torchvision.models").get_model
            made = make(name, weights=None)
    except Exception as error:
        raise BadInput(f"{library} makes no model {name!r}: {said(error)}") from error
    if not isinstance(made, nn.Module):
        raise BadInput(f"{library}:{name} is a {type(made).__name__}: expected an nn.Module")
    return made


def _layer(text: str) -> nn.Module:
    """A call of torch.nn's layers, read from its syntax tree."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadInput(f"{text!r} is no call of a layer: {said(error)}") from error
    try:
        made = _value(tree)
    except BadInput as error:
        raise BadInput(f"{text!r}: {error}") from error
    if not isinstance(made, nn.Module):
        raise BadInput(f"{text!r} is no layer: expected torch.nn.NAME(…) with constant arguments")
    return made


def _value(node: ast.expr) -> Any:
    """A constant, a tuple or list of values, or a call of a layer."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float | str | None):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand)
        if isinstance(value, int | float):
            return -value
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Call):
        return _called(node)
    raise BadInput(
        f"{ast.unparse(node)!r} is no constant: arguments are numbers, texts, True, False, None, tuples and lists of "
        "them, and calls of layers under torch.nn"
    )


def _called(node: ast.Call) -> nn.Module:
    kind = _class(node.func)
    if any(word.arg is None for word in node.keywords):
        raise BadInput(f"{ast.unparse(node)!r} has **arguments: give them one by one")
    positional = [_value(argument) for argument in node.args]
    named = {str(word.arg): _value(word.value) for word in node.keywords}
    try:
        return kind(*positional, **named)
    except Exception as error:  # wrong arguments, or too many numbers for the memory
        raise BadInput(f"{ast.unparse(node)!r} can't be made: {said(error)}") from error


def _class(node: ast.expr) -> type[nn.Module]:
    """The class that torch.nn, or nn, has under a dotted name."""
    path = ast.unparse(node)
    parts = path.removeprefix("torch.").split(".")
    found: Any = nn if parts[0] == "nn" and len(parts) > 1 else None
    for part in parts[1:]:
        found = None if found is None or part.startswith("_") else getattr(found, part, None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise BadInput(f"{path!r} is no layer: expected a class under torch.nn, as torch.nn.Conv2d")
    return found
