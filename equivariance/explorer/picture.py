"""Uploaded images: bounded in size, of three formats only, decoded by `fields.image` without touching a disk."""

from __future__ import annotations

import io
import warnings

from equivariance.bad_input import BadInput
from equivariance.explorer.inputs import squared
from equivariance.explorer.state import PICTURE
from fields import image

#: Bytes of a file.
FILE_BOUND = 8 * 2**20
#: Bytes that the decoded image may take: about 13 million pixels in colour.
DECODED_BOUND = 320 * 2**20
#: How files of the formats begin.
SIGNATURES = {"PNG": b"\x89PNG\r\n\x1a\n", "JPEG": b"\xff\xd8\xff", "WebP": b"RIFF"}


def decoded(data: bytes) -> bytes:
    """An image file as 128 × 128 grey bytes: its middle square, area-averaged.

    Raises
    ------
    BadInput
        Where the file is too long, of another format, broken, animated, or would be too large when decoded.
    """
    if not data:
        raise BadInput("the file is empty: choose an image (PNG, JPEG or WebP)")
    if len(data) > FILE_BOUND:
        raise BadInput(f"the file has more than {FILE_BOUND // 2**20} MiB: choose a smaller one")
    if not _known(data):
        raise BadInput(f"the file is no {', '.join(SIGNATURES)} image: other formats aren't taken")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that palettes and alpha are converted is meant
        try:
            values = image.read(io.BytesIO(data), DECODED_BOUND)
        except ValueError as error:
            raise BadInput(str(error)) from error
    if min(values.shape[1:]) < 2:
        raise BadInput(f"the image has {values.shape[1]} × {values.shape[2]} pixels: too few")
    grey = squared(255 * values.movedim(0, -1).numpy())
    assert grey.shape == (PICTURE, PICTURE)
    return grey.tobytes()


def _known(data: bytes) -> bool:
    if data.startswith(SIGNATURES["WebP"]):
        return data[8:12] == b"WEBP"
    return any(data.startswith(s) for s in SIGNATURES.values())
