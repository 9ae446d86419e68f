"""The law: a documented ValueError or TypeError, or a result that is finite."""

from __future__ import annotations

import contextlib
import linecache
import resource
import signal
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

import numpy as np
import scipy.sparse
import torch
import xarray as xr
from torch import Tensor, nn

from discretize import AliasingWarning, Grid, Samples
from equivariance import LowConfidence
from fields import Field
from fields.kernels.kernel import MatrixKernel
from fields.kernels.window import Window

#: Address space that a call may take, besides what is taken already, and time.
MEMORY, SECONDS = 3 << 30, 8
PACKAGES = ("fields", "discretize", "layers", "equivariance")


class Broken(AssertionError):
    """The law doesn't hold."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Raise MemoryError, or torch's RuntimeError, past the bound on memory, and TimeoutError past that on time."""

    def late(*_: Any) -> None:
        raise TimeoutError

    with open("/proc/self/statm") as status:
        used = int(status.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, late)
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, hard))
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def check(call: Callable[..., Any], arguments: Mapping[str, Any], use: Callable[[Any], Any]) -> str:
    """Call, use what comes, and hold both to the law; says how it went."""
    try:
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", ".torch.jit", DeprecationWarning)  # its own imports
            for house in (AliasingWarning, LowConfidence):
                warnings.simplefilter("ignore", house)
            result = call(**arguments)
            used = use(result)
    except Exception as error:
        if theirs(error):
            return "their own"
        if not isinstance(error, ValueError | TypeError):
            raise Broken(f"{type(error).__name__}: {error}\n{short(error)}") from error
        if not raised_here(error.__traceback__):
            raise Broken(f"not raised by the house: {error!r}\n{short(error)}") from error
        if len(str(error).split()) < 4:
            raise Broken(f"the message says too little: {error!r}") from error
        return "refused"
    bad = unfinished(used)
    if bad:
        raise Broken(f"a silent NaN or infinity: {bad}")
    return "done"


def theirs(error: BaseException) -> bool:
    """Whether a function or model that was an argument raised it: that is its own to explain."""
    frames = traceback.walk_tb(error.__traceback__)
    names = [frame.f_globals.get("__name__", "") for frame, _ in frames]
    below = []
    for name in reversed(names):
        if name.split(".")[0] in PACKAGES:
            break
        below.append(name)
    return any(name.startswith(("torch.nn.modules.", "tests.hostile.values")) for name in below)


def raised_here(trace: TracebackType | None) -> bool:
    """Whether the error comes from a `raise` statement of these packages, and not from below them."""
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    name = trace.tb_frame.f_globals.get("__name__", "")
    line = linecache.getline(trace.tb_frame.f_code.co_filename, trace.tb_lineno).strip()
    return name.split(".")[0] in PACKAGES and line.startswith("raise")


def short(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__)[-3:])


def unfinished(value: Any) -> str:
    """Where a result isn't finite: empty where it is."""
    if isinstance(value, Tensor):
        if value.device.type == "meta" or value.is_sparse or value.is_quantized:
            return f"a tensor without plain values: {value.device}, {value.layout}, {value.dtype}"
        return "" if bool(torch.isfinite(value.detach()).all()) else f"{value!r:.200}"
    if isinstance(value, Samples):
        return unfinished(value.values) or unfinished(value.grid)
    if isinstance(value, Grid):
        return unfinished(value.origin) or unfinished(list(value.spacing))
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.kind not in "fc":
            return ""
        return "" if np.isfinite(value).all() else f"{value!r:.200}"
    if isinstance(value, float | complex):
        return "" if np.isfinite(value) else repr(value)
    if scipy.sparse.issparse(value):
        return unfinished(value.data)
    if isinstance(value, xr.Dataset):
        return ""  # NaN is how it marks what isn't defined, see the docstrings
    if isinstance(value, Mapping):
        return unfinished(list(value.values()))
    if isinstance(value, list | tuple):
        return next((bad for bad in map(unfinished, value) if bad), "")
    return ""


#: A field and samples that layers, kernels and windows are tried on.
def inputs() -> tuple[Field, Samples]:
    from fields import Gaussians

    field = Gaussians([[0.5, 0.2]], [[1.0, -2.0]], [0.8])
    grid = Grid((6, 4), 0.5)
    return field, Samples(torch.linspace(-1, 1, 48).double().reshape(2, 6, 4), grid)


def used(made: Any) -> Any:
    """What comes of a public object when it is used: values of fields and layers."""
    field, samples = inputs()
    if isinstance(made, Field):
        return made(torch.linspace(-1, 1, 2 * made.dim).reshape(2, made.dim))
    if isinstance(made, MatrixKernel):
        return field.convolve(made, nodes=2)([[0.1, 0.2]]), samples.convolve(made)
    if isinstance(made, Window):
        return field.pool(made, nodes=2)([[0.1, 0.2]]), samples.pool(made)
    if isinstance(made, nn.Module):
        return used(made(samples))
    return made
