"""Reading images: sizes checked before anything is decoded, all that is converted said aloud.

Pillow decodes what it knows; other files go through scikit-image. That one guesses from an array's shape which axis
holds the channels, and guesses wrong for grey images with alpha and three or four rows.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from fields.accuracy import MEMORY_BOUND

#: Pillow's modes whose arrays are values as they are, and the value of white.
PLAIN = {
    "1": 1.0,
    "L": 255.0,
    "LA": 255.0,
    "RGB": 255.0,
    "RGBA": 255.0,
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), 65535.0),
}
#: Modes of wide numbers, whose white depends on the format: scikit-image knows.
WIDE = ("I", "F")
#: Cameras' JPEG files with previews and depth maps behind the picture.
CAMERA = "MPO"
#: TIFF's tag of that name.
BITS_PER_SAMPLE = 258


def read(path: str | Path | BinaryIO, memory: int = MEMORY_BOUND) -> Tensor:
    """An image file, or the bytes of one, as values (c, rows, columns) in [0, 1], float64, one channel or three.

    Turned and mirrored as its EXIF data say, of a camera's file with several pictures the first.

    Raises
    ------
    ValueError
        Where the file is no image, has several frames or other numbers of channels, or would take more than `memory`
        bytes: that is found from its header, before it is decoded.
    """
    source = Path(path) if isinstance(path, str | Path) else path
    name = str(path) if isinstance(source, Path) else "the image"
    try:
        image, said = _decoded(source, name, memory)
    except Refused:
        raise
    except Exception as error:  # the readers raise what they like
        raise ValueError(f"{name} can't be read as an image: {error}") from error
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[-1] in (2, 4):
        said.append("has an alpha channel: it was blended with white")
        image = 1 + image[..., -1:] * (image[..., :-1] - 1)
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(
            f"{name} must be a greyscale or RGB image, got an array of shape {image.shape}"
        )
    for what in said:
        warnings.warn(f"{name} {what}", stacklevel=3)
    return torch.from_numpy(image).movedim(-1, 0).contiguous()


class Refused(ValueError):
    """An image that isn't decoded, for a reason that is said in full: it is too large, say, or there are several."""


def _decoded(source: Path | BinaryIO, name: str, memory: int) -> tuple[Any, list[str]]:
    """Values in [0, 1] (rows, columns[, channels]) with alpha, and what was converted."""
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        try:
            header = Image.open(source)
        except UnidentifiedImageError:
            if not isinstance(source, Path):
                raise Refused(
                    f"{name} is damaged, or of a format that Pillow doesn't know"
                ) from None
            return _by_any(source), []
    with header:
        _check_header(header, name, memory)
        tiff = header.format == "TIFF"
        wide = header.mode in WIDE or (tiff and _deep(header))
        return (_by_skimage(source, tiff), []) if wide else _by_pillow(header)


def _check_header(header: Any, name: str, memory: int) -> None:
    bands = 4 if header.mode in ("P", "PA") else len(header.getbands())
    size = header.width * header.height * bands * 8
    if size > memory:
        raise Refused(
            f"{name} has {header.height} × {header.width} pixels and would take "
            f"{size / 2**20:.0f} MiB, the bound is {memory / 2**20:.0f} MiB: "
            "crop or shrink it, or give a larger `memory`"
        )
    frames = getattr(header, "n_frames", 1)
    if frames > 1 and header.format != CAMERA:
        raise Refused(f"{name} has {frames} frames, a field is made of one: save it on its own")


def _by_pillow(image: Any) -> tuple[Any, list[str]]:
    from PIL import ImageOps

    said = []
    if getattr(image, "n_frames", 1) > 1:
        said.append("holds further pictures beside the first: they were left out")
    raw = _raw_mode(image)
    if _rounded(image):
        said.append("has 16 bits per colour: they were cut to 8")
    if raw.startswith("LA") and image.mode == "RGBA":
        image = image.convert("LA")  # Pillow repeats the grey of such files three times
    if image.mode in ("P", "PA"):
        said.append("has a palette: it was converted to colours")
        through = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if through else "RGB")
    elif image.mode not in PLAIN:
        said.append(f"has colours of the kind {image.mode}: they were converted to RGB")
        image = image.convert("RGB")
    image = ImageOps.exif_transpose(
        image
    )  # cameras say which side is up instead of turning the pixels
    values = np.asarray(image).astype(np.float64)
    key = image.info.get("transparency")
    if key is not None and image.mode not in ("LA", "RGBA"):
        values = _with_key(values, key, PLAIN[image.mode])
    return values / PLAIN[image.mode], said


def _raw_mode(image: Any) -> str:
    """How the file holds its colours, as far as Pillow says."""
    tiles = getattr(image, "tile", None) or []
    return str(tiles[0][3] if isinstance(tiles[0][3], str) else tiles[0][3][0]) if tiles else ""


def _deep(tiff: Any) -> bool:
    """Whether Pillow makes 8 bits, or nonsense of separate planes, of a TIFF that has more."""
    bits = np.atleast_1d(tiff.tag_v2.get(BITS_PER_SAMPLE, 1))
    return bool(bits.max() > 8) and not tiff.mode.startswith("I;16")


def _rounded(image: Any) -> bool:
    """Whether Pillow makes 8 bits of 16."""
    return ";16" in _raw_mode(image) and not image.mode.startswith("I;16")


def _with_key(values: Any, key: Any, white: float) -> Any:
    """Values with an alpha channel: 0 where a pixel has the colour `key`, as PNG's transparent colour."""
    layers = values if values.ndim == 3 else values[..., None]
    opaque = (layers != np.asarray(key, np.float64)).any(-1, keepdims=True)
    return np.concatenate([layers, white * opaque], axis=-1)


def _by_any(path: Path) -> Any:
    """What scikit-image makes of a file that Pillow doesn't know."""
    try:
        return _by_skimage(path)
    except Exception as error:  # whose words name its own parts
        raise ValueError("it is damaged, or of a format that no reader knows") from error


def _by_skimage(source: Path | BinaryIO, tiff: bool = False) -> Any:
    from skimage import io, util

    # The file is opened here: of one that none of its readers knows, scikit-image leaves it to be closed by chance.
    with source.open("rb") if isinstance(source, Path) else nullcontext(source) as file:
        file.seek(0)
        raw = _by_tifffile(file) if tiff else io.imread(file)
    return util.img_as_float64(raw)  # type: ignore[no-untyped-call]


def _by_tifffile(source: BinaryIO) -> Any:
    """What scikit-image does with a file whose name ends in .tif; others it leaves to Pillow, which keeps 8 bits."""
    import tifffile  # which scikit-image needs

    with tifffile.TiffFile(source) as file:
        first = file.series[0]
        return np.moveaxis(first.asarray(), 0, -1) if first.axes == "SYX" else first.asarray()
