"""`equivariance measure TARGET`: measure a model, say where it breaks, write a report."""

from __future__ import annotations

import ast
import contextlib
import logging
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from equivariance.bad_input import BadInput, check_range
from equivariance.experiments.settings import PLACES, configuration, flags

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MeasureSettings:
    """Measure how translation equivariant a torch model is, layer by layer.

    Exit code 0 when done, 1 where the output's error exceeds --tolerance, 2 where the model or its inputs can't be
    worked with.
    """

    target: tyro.conf.Positional[str]
    """file.py:name, package.module:name, "torch.nn.NAME(…)", torchvision:NAME or timm:NAME."""

    inputs: Path | None = None
    """A folder of images, or a file with a tensor (.npy, or saved by torch; or with a tuple or dict of them, the
    model's arguments); random band-limited fields unless given."""

    size: tuple[int, ...] = ()
    """Pixels per axis that the model sees; one number is repeated; tried out unless given."""

    channels: int | None = None
    """Channels of the inputs, 0 for maps without such an axis; those that the first layer takes unless given."""

    fixed: tuple[str, ...] = ()
    """Further arguments of the model, which don't move: NAME=10, a number for each input, or NAME=a constant."""

    boundary: Literal["periodic", "window"] = "periodic"
    """Move inputs around their period, or let the model see a window of larger ones."""

    padding: Literal["both", "as is", "circular"] = "both"
    """Measure the model as it is, with circular padding, or both."""

    layers: tuple[str, ...] = ("all",)
    """all, leaves, output, or patterns of names such as "layer1.*"."""

    translations: int = 33
    """How many translations."""

    limit: int = 2
    """How many inputs."""

    batch: int = 16
    """Inputs per pass."""

    dtype: Literal["own", "float32", "float64"] = "own"
    """Precision of the computation: the model's own unless given."""

    output: str | None = None
    """Which of the model's own outputs counts, by its key; all of them unless given."""

    tokens: tuple[str, ...] = ()
    """How outputs are laid out where it isn't found: NAME=16x16 for maps of that size, NAME=none for what is no map."""

    tolerance: float | None = None
    """Exit with 1 where an output's error at some translation, as far as it was compared, is larger."""

    only_multiples: bool = False
    """Hold --tolerance against multiples of the stride only."""

    plain: bool = False
    """Don't measure what would mend the model."""

    out: Path = Path("equivariance-out")
    """Folder for the report, made where it is missing."""

    overwrite: bool = False
    """Replace a report on something else in that folder."""

    seed: int = 0
    """Seed of the inputs, and of weights that are drawn in making the model."""

    threads: int = 1
    """Processor threads."""

    def check(self) -> None:
        """Raise BadInput where these settings can't be run."""
        for name, least in {"translations": 1, "limit": 1, "batch": 1, "channels": 0}.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise BadInput(f"--{name} must be at least {least}, got {value}")
        check_range("seed", self.seed)
        check_range("threads", self.threads)
        if self.tolerance is not None and not 0 <= self.tolerance < float("inf"):
            raise BadInput(f"--tolerance must be a number, at least 0, got {self.tolerance}")
        if len(self.size) > 3 or any(n < 1 for n in self.size):
            raise BadInput(f"--size takes 1, 2 or 3 positive numbers, got {self.size}")
        self.layouts, self.arguments  # noqa: B018  they raise where they can't be read
        if self.boundary == "window" and self.inputs is None:
            raise BadInput("--boundary window needs --inputs that are larger than the window")

    @property
    def layouts(self) -> dict[str, tuple[int, ...] | None]:
        """What `tokens` says, by pattern of names."""
        found: dict[str, tuple[int, ...] | None] = {}
        for text in self.tokens:
            name, equals, sizes = text.rpartition("=")
            sides = sizes.lower().replace("×", "x").split("x")
            if not (name and equals and (sizes == "none" or all(n.isdecimal() for n in sides))):
                raise BadInput(f"--tokens takes NAME=16x16 or NAME=none, got {text!r}")
            found[name] = None if sizes == "none" else tuple(map(int, sides))
        return found

    @property
    def arguments(self) -> dict[str, Any]:
        """What `fixed` says, by name."""
        found: dict[str, Any] = {}
        for text in self.fixed:
            name, equals, value = text.partition("=")
            if not (name.isidentifier() and equals):
                raise BadInput(f"--fixed takes NAME=VALUE, got {text!r}")
            try:
                found[name] = ast.literal_eval(value)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                found[name] = value  # a text
        return found

    @property
    def configuration(self) -> dict[str, Any]:
        """All that the results depend on."""
        return configuration("measure", self, (*PLACES, "tolerance", "only_multiples"))

    @property
    def command(self) -> str:
        """What to type for these settings, defaults left out."""
        given = flags(self, ["target", "overwrite"])
        return shlex.join(["equivariance", "measure", self.target, *given])


def run(settings: MeasureSettings) -> tuple[str, tuple[Path, ...], int]:
    """Measure, and write the report: the text, the files, the exit code.

    Raises
    ------
    BadInput
        For bad targets, inputs and settings, and for models that raise. Nothing is written then.
    """
    from equivariance.measuring.report_page import FILES, report
    from equivariance.measuring.target import read_target
    from equivariance.records import threads
    from equivariance.results import OutputFolder
    from equivariance.verdicts import tolerance

    settings.check()
    module = read_target(settings.target, settings.seed)
    with _removed_unless_used(settings.out):
        folder = OutputFolder(settings.out, FILES)
        if not settings.overwrite:
            folder.refuse_other(settings.configuration)
        try:
            with threads(settings.threads):
                found = report(settings, module)
        except (ValueError, TypeError) as error:
            if isinstance(error, BadInput):
                raise
            raise BadInput(f"{settings.target} can't be measured: {error}") from error
        files = folder.write(found.contents)
    if settings.tolerance is None:
        return found.text, files, 0
    from equivariance.measuring.asserting import exceeding, not_judged, under_which
    from equivariance.measuring.measured import own_outputs

    output = own_outputs(found.data)
    if settings.padding == "both":
        output = output.sel(padding=["as is"])
    if unjudged := not_judged(output):
        raise BadInput(f"--tolerance: {unjudged}")
    try:
        broken = exceeding(output, settings.tolerance, own=settings.only_multiples)
    except ValueError as error:
        raise BadInput(f"--tolerance: {error}") from error
    if broken is None:
        count, of = int(under_which(output).sum()), output.sizes["translation"]
        seen = "" if count == of else f" at the {count} of {of} translations that were compared"
        rounding = f"round-off goes up to {tolerance(found.data.attrs['dtype']):.1e}"
        held = f"--tolerance {settings.tolerance:g} is met{seen} ({rounding})"
        return f"{found.text}\n\n{held}", files, 0
    return f"{found.text}\n\n{broken}", files, 1


@contextlib.contextmanager
def _removed_unless_used(path: Path) -> Iterator[None]:
    """Leave no empty folder behind where there was none."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    try:
        yield
    except BaseException:
        for p in missing:
            with contextlib.suppress(OSError):
                p.rmdir()
        raise
