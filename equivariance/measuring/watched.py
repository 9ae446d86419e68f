"""A torch model, copied, and the output of every layer watched.

The copy is in evaluation mode, with compiled wrappers taken off (hooks on those never fire).
"""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from fields import arguments

#: The name of the model's own output.
OUTPUT = "output"

#: What is told of every output: name, module, tensor.
Watcher = Callable[[str, nn.Module, Tensor], None]


class ModelFailed(ValueError):
    """The model raised; the message names the input's shape and what it said."""


def watchable(module: Any) -> nn.Module:
    """A deep copy in evaluation mode, without compiled wrappers.

    Raises
    ------
    TypeError
        For what is no nn.Module.
    ValueError
        For a model that can't be copied, or whose weights have no values (device "meta").
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"expected an nn.Module, got {type(module).__name__}")
    module = _unwrapped(module)
    if isinstance(module, torch.jit.ScriptModule):
        module = Scripted(module)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, of its own graphs and scripts
            copied = copy.deepcopy(module)
    except Exception as error:  # weights made by hand, locks, open files
        raise ValueError(
            f"the model can't be copied, and it isn't measured in place: {said(error)}"
        ) from error
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if _unwrapped(child) is not child:
                setattr(parent, name, _unwrapped(child))
        parent._compiled_call_impl = None  # what `module.compile()` leaves
    if any(p.is_meta for p in copied.parameters()):
        raise ValueError('the model is on the device "meta": its weights have no values')
    for parameter in copied.parameters():
        if parameter.is_leaf:  # copies of scripted modules have others
            parameter.requires_grad_(False)
    evaluated: nn.Module = copied.eval()
    return evaluated


def device_and_dtype(module: nn.Module, inputs: Any = None) -> tuple[torch.device, torch.dtype]:
    """Where the first weight is, and its precision; without any those of a tensor of inputs, or the CPU and float32."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            return tensor.device, tensor.dtype
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        return inputs.device, inputs.dtype
    return torch.device("cpu"), torch.float32


def run(module: nn.Module, x: Tensor) -> Any:
    """The model's output for x; what it raises comes as `ModelFailed`, with the shape of x."""
    try:
        return module(x)
    except (Told, KeyboardInterrupt):
        raise
    except Exception as error:
        raise ModelFailed(
            f"the model raised on an input of shape {tuple(x.shape)}, {x.dtype}, {x.device}: {said(error)}"
        ) from error


class Told(ValueError):
    """Raised by a watcher itself: not the model's fault, passed on as it is."""


@contextmanager
def watching(
    module: nn.Module, watcher: Watcher, layers: str | Sequence[str] = "all"
) -> Iterator[Callable[[], None]]:
    """Call `watcher` with every tensor that the chosen layers put out, in the order in which they do.

    Parameters
    ----------
    module : nn.Module
        As `watchable` gives it.
    watcher : callable
        (name, module, tensor). A layer that is called again has "#2", "#3" … after its name, one that returns several
        tensors "[0]", "[key]" …; the model itself is called "output". The tensor may be changed in place by what
        follows: clone what is to be kept.
    layers : {"all", "leaves", "output"} or sequence of str
        Patterns of names, as "layer1.*"; the output is always there.

    Yields
    ------
    callable
        To be called before each pass: counts calls from one again.
    """
    calls: dict[str, int] = {}

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        is_own = owner_is_model(name)  # labels count, too

        def told(layer: nn.Module, _: Any, value: Any) -> None:
            calls[name] = calls.get(name, 0) + 1
            label = name if calls[name] == 1 else f"{name}#{calls[name]}"
            for key, tensor in tensors(value):
                if tensor.ndim > 0 and (
                    is_own or tensor.is_floating_point() or tensor.is_complex()
                ):
                    _tell(watcher, label + key, layer, tensor)

        return told

    handles = [
        layer.register_forward_hook(hook(name))
        for name, layer in chosen(module, layers).items()
        if not isinstance(layer, torch.jit.ScriptModule)  # torch runs those by itself
    ]
    try:
        yield calls.clear
    finally:
        for handle in handles:
            handle.remove()


def _tell(watcher: Watcher, name: str, layer: nn.Module, value: Tensor) -> None:
    """Call the watcher; what it raises isn't the model's fault."""
    try:
        watcher(name, layer, value)
    except (Told, KeyboardInterrupt):
        raise
    except Exception as error:
        raise Told(f"{name} ({type(layer).__name__}) can't be compared: {said(error)}") from error


def chosen(module: nn.Module, layers: str | Sequence[str]) -> dict[str, nn.Module]:
    """The chosen layers by name, the model itself last.

    Raises
    ------
    ValueError
        For a pattern that no layer fits, with names that are there.
    """
    named = {name: layer for name, layer in module.named_modules() if name}
    if not isinstance(layers, str):
        layers = arguments.sequence(layers, "layers", "patterns of names")
    for pattern in [layers] if isinstance(layers, str) else layers:
        if not isinstance(pattern, str):
            raise TypeError(f"layers must be names or patterns of names, got {pattern!r:.80}")
    if layers == "leaves":
        named = {name: layer for name, layer in named.items() if not any(layer.children())}
    elif layers != "all":
        patterns = [layers] if isinstance(layers, str) else list(layers)
        for pattern in patterns:
            fits = pattern == OUTPUT or any(fnmatchcase(name, pattern) for name in named)
            if not fits:
                some = ", ".join(list(named)[:8]) + (" …" if len(named) > 8 else "")
                raise ValueError(
                    f'no layer fits {pattern!r}: give "all", "leaves", "output", or patterns of names as {some}'
                )
        named = {
            name: layer
            for name, layer in named.items()
            if any(fnmatchcase(name, pattern) for pattern in patterns)
        }
    return {**named, OUTPUT: module}


def owner(label: str) -> str:
    """The name of the layer that a watched output is of: the label without the call and the place."""
    return label.partition("#")[0].partition("[")[0]


def owner_is_model(label: str) -> bool:
    """Whether a watched output is the model's own."""
    return owner(label) == OUTPUT


def tensors(value: Any, key: str = "") -> Iterator[tuple[str, Tensor]]:
    """All tensors in nested tuples, lists, dicts and dataclasses, each with its place as text."""
    if isinstance(value, Tensor):
        yield key, value
        return
    if dataclasses.is_dataclass(value) and not isinstance(value, Mapping | type):
        value = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        value = dict(zip(value._fields, value, strict=True))
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from tensors(item, f"{key}[{name}]")
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from tensors(item, f"{key}[{i}]")


def said(error: BaseException) -> str:
    """An exception in a line: its type, and what it says first."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


class Scripted(nn.Module):
    """A scripted or traced model as a module that can be watched; what is inside can't be."""

    def __init__(self, scripted: nn.Module) -> None:
        super().__init__()
        self.scripted = scripted

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the scripted model puts out."""
        return self.scripted(*args, **kwargs)


def _unwrapped(module: nn.Module) -> nn.Module:
    while isinstance(getattr(module, "_orig_mod", None), nn.Module):
        module = module._orig_mod  # type: ignore[assignment]
    return module
