"""What pages paint: the colours that values ought to have, and those that a canvas has where they lie."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image
from playwright.sync_api import Page

#: ColorBrewer's reversed RdBu.
STOPS = [
    *((5, 48, 97), (33, 102, 172), (67, 147, 195), (146, 197, 222), (209, 229, 240)),
    (247, 247, 247),
    *((253, 219, 199), (244, 165, 130), (214, 96, 77), (178, 24, 43), (103, 0, 31)),
]
#: Levels of colours, of 255, by which a page may differ: it has 512 steps of the scale.
NEAR = 2


def colours(values: np.ndarray, scale: float) -> np.ndarray:
    """RdBu between its eleven colours, grey where nothing is known."""
    share = np.clip((values / scale + 1) / 2, 0, 1) * (len(STOPS) - 1)
    bands = [np.interp(share, range(len(STOPS)), band) for band in zip(*STOPS, strict=True)]
    return np.where(np.isnan(values)[..., None], 201.0, np.stack(bands, -1))


def canvas(page: Page, name: str) -> np.ndarray:
    """The dots of a canvas, (rows, columns, 4)."""
    data = page.evaluate(f"document.getElementById('{name}').toDataURL()").split(",")[1]
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return np.asarray(image.convert("RGBA"))


def check_painted(
    drawn: np.ndarray, points: np.ndarray, values: np.ndarray, scale: float, size: int
) -> None:
    """Values (n, m) have their colours at points (n, m, 2) of a periodic window of `size` pixels.

    x₁ goes down and x₂ to the right, from half a pixel before the origin in the top left.
    """
    places = (points + 0.5) % size * len(drawn) / size
    inner = ((places > 1) & (places < len(drawn) - 1)).all(-1)  # seams between copies are blended
    assert inner.mean() > 0.9
    rows, columns = np.floor(places[inner]).astype(int).T
    found = drawn[rows, columns, :3].astype(float)
    assert np.abs(found - colours(values[inner], scale)).max() <= NEAR
