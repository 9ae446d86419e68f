"""The TOML file of a sweep, read and checked before anything is computed.

strides = [2, 4]
seeds = 3                                   # or a list
norm = "l2"

[translations]                              # a list, a line, random ones, or several of them
list = [[0.0, 0.0], [1.0, 0.5]]
line = { to = [4.0, 0.0], count = 17 }
random = { count = 32, reach = [16.0, 16.0] }

[grids.fine]
shape = [64, 64]
spacing = 0.5
[grids.continuous]                          # the continuous layer, at random points of a box
points = 64
extent = [32.0, 32.0]

[fields.noise]
random = { bandlimit = 0.4, period = 32.0, channels = 1 }
[fields.picture]
image = "picture.png"

[layers.blur]
chain = [{ conv = 3, channels = 4 }, "relu", "blur"]
[layers.torch]
model = "torch.nn.Conv2d(1, 8, 3, stride={stride}, padding=1, padding_mode='circular')"
[layers.mine]
make = "mine.py:layer"                      # called with stride and seed
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equivariance.bad_input import BadInput, check_known, read_toml
from equivariance.error import NORMS
from equivariance.measuring import target
from equivariance.records import as_json

TOP = ("strides", "seeds", "norm", "rtol", "translations", "grids", "fields", "layers")
TRANSLATIONS = ("list", "line", "random")
LINE = ("to", "count")
SPREAD = ("count", "reach")
GRID = ("shape", "spacing", "origin", "boundary")
CONTINUOUS = ("points", "extent", "spacing")
FIELD = ("random", "image", "make")
RANDOM = ("bandlimit", "period", "channels")
LAYER = ("chain", "model", "make")
TEXTS = {
    "image": "the name of a file",
    "make": "file.py:name or package.module:name",
    "model": target.KINDS,
}
ORDERED = ("layers", "fields", "grids")


@dataclass(frozen=True)
class SweepConfiguration:
    """What a sweep's numbers depend on.

    Attributes
    ----------
    layers, fields, grids : dict
        Tables by name, as in the file.
    strides : list of int
    seeds : list of int
    translations : dict
    norm : str
    rtol : float
        As for `equivariance_error`.
    files : dict of str to str
        Digests of the files that the tables name.
    """

    layers: Mapping[str, Mapping[str, Any]]
    fields: Mapping[str, Mapping[str, Any]]
    grids: Mapping[str, Mapping[str, Any]]
    translations: Mapping[str, Any]
    strides: list[int]
    seeds: list[int]
    norm: str
    rtol: float
    files: Mapping[str, str]

    @property
    def record(self) -> dict[str, Any]:
        """As JSON knows it, whose tables have no order: that of the names is kept apart."""
        order = {name: list(getattr(self, name)) for name in ORDERED}
        values = {k: getattr(self, k) for k in self.__dataclass_fields__}
        return {"experiment": "sweep", "order": order} | values

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> SweepConfiguration:
        """What `record` gave."""
        values = {k: record[k] for k in cls.__dataclass_fields__}
        tables = {k: {name: values[k][name] for name in record["order"][k]} for k in ORDERED}
        return cls(**(values | tables))


def read(path: Path) -> SweepConfiguration:
    """The configuration in a TOML file.

    Raises
    ------
    BadInput
        Where the file can't be read, for unknown keys (with the nearest known one), and for missing tables.
    """
    return checked(read_toml(path), path.parent, str(path))


def checked(table: Mapping[str, Any], folder: Path, where: str) -> SweepConfiguration:
    """The configuration in a table; files that it names lie in `folder`."""
    _known(table, TOP, where)
    for name in ("translations", "grids", "fields", "layers"):
        if not isinstance(table.get(name), Mapping) or not table[name]:
            raise BadInput(f"{where}: there is no table [{name}]")
    _check_translations(table["translations"], f"{where}: [translations]")
    for name, grid in _tables(table, "grids", where):
        _known(grid, CONTINUOUS if "points" in grid else GRID, f"{where}: [grids.{name}]")
        needed = ("points", "extent") if "points" in grid else ("shape",)
        _has(grid, needed, f"{where}: [grids.{name}]")
    for name, field in _tables(table, "fields", where):
        _check_field(field, f"{where}: [fields.{name}]")
        _check_texts(field, f"{where}: [fields.{name}]")
    for name, layer in _tables(table, "layers", where):
        _one_of(layer, LAYER, f"{where}: [layers.{name}]")
        _check_texts(layer, f"{where}: [layers.{name}]")
    norm, rtol = table.get("norm", "l2"), table.get("rtol", 1e-4)
    if norm not in NORMS:
        raise BadInput(f"{where}: norm must be one of {', '.join(NORMS)}, got {norm!r}")
    if not isinstance(rtol, float) or not 0 < rtol < 1:
        raise BadInput(f"{where}: rtol must be a number between 0 and 1, got {rtol!r}")
    seeds = table.get("seeds", 1)
    seeds = list(range(seeds)) if isinstance(seeds, int) else seeds
    return SweepConfiguration(
        layers=table["layers"],
        fields=table["fields"],
        grids=table["grids"],
        translations=table["translations"],
        strides=_whole(table.get("strides", [1]), f"{where}: strides", 1),
        seeds=_whole(seeds, f"{where}: seeds", 0),
        norm=norm,
        rtol=rtol,
        files=digests(_named_files(table), folder),
    )


def difference(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """The keys at which two records differ."""
    keys = sorted(
        k for k in {*stored, *wanted} if as_json({k: stored.get(k)}) != as_json({k: wanted.get(k)})
    )
    return ", ".join(keys)


def _check_translations(table: Any, where: str) -> None:
    _known(table, TRANSLATIONS, where)
    for kind, names in (("line", LINE), ("random", SPREAD)):
        if kind in table:
            _known(table[kind], names, f"{where} {kind}")
            _has(table[kind], names, f"{where} {kind}")


def _check_field(field: Any, where: str) -> None:
    _one_of(field, FIELD, where)
    if "random" in field:
        _known(field["random"], RANDOM, f"{where} random")
        _has(field["random"], ("bandlimit", "period"), f"{where} random")


def _check_texts(table: Mapping[str, Any], where: str) -> None:
    for key, what in TEXTS.items():
        if not isinstance(table.get(key, ""), str):
            raise BadInput(f"{where}: {key} must be {what}, got {table[key]!r}")


def _known(table: Any, names: Collection[str], where: str) -> None:
    if not isinstance(table, Mapping):
        raise BadInput(f"{where} must be a table with {', '.join(names)}, got {table!r}")
    for key in table:
        check_known(key, names, f"{where}: there is no key {key!r}")


def _has(table: Mapping[str, Any], names: Collection[str], where: str) -> None:
    for name in names:
        if name not in table:
            raise BadInput(f"{where}: {name!r} is missing")


def _one_of(table: Any, names: Collection[str], where: str) -> None:
    _known(table, names, where)
    if len(table) != 1:
        raise BadInput(f"{where} must have one of {', '.join(names)}, got {sorted(table)}")


def _tables(table: Mapping[str, Any], name: str, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    for key, value in table[name].items():
        if not isinstance(value, Mapping):
            raise BadInput(f"{where}: [{name}.{key}] must be a table, got {value!r}")
    return list(table[name].items())


def _whole(values: Any, where: str, least: int) -> list[int]:
    fine = isinstance(values, list) and values and all(type(v) is int for v in values)
    if not fine or min(values) < least or len(set(values)) < len(values):
        raise BadInput(f"{where} must be different whole numbers, at least {least}, got {values!r}")
    return list(values)


def digests(names: Iterable[str], folder: Path) -> dict[str, str]:
    """Of files, so that a store knows what it was made with.

    Raises
    ------
    BadInput
        Where one can't be read.
    """
    found = {}
    for name in names:
        if (folder / name).exists() and not (folder / name).is_file():
            raise BadInput(f"{folder / name} is no file")  # a device may have no end
        try:
            content = (folder / name).read_bytes()
        except OSError as error:
            raise BadInput(f"can't read {folder / name}: {error.strerror or error}") from error
        found[name] = hashlib.blake2b(content, digest_size=16).hexdigest()
    return found


def runs_code(table: Mapping[str, Any]) -> bool:
    """Whether a field or layer is made by code that its table names: a function, or a model that is no literal."""
    return "make" in table or ("model" in table and target.runs_code(str(table["model"])))


def _named_files(table: Mapping[str, Any]) -> list[str]:
    """The files that fields and layers name."""
    named = [t.get("image") for t in table["fields"].values()]
    for t in (*table["fields"].values(), *table["layers"].values()):
        place = str(t.get("make") or t.get("model") or "").rpartition(":")[0]
        named.append(place if place.endswith(".py") else None)
    return [name for name in named if name]
