"""Pictures and loaders as inputs of `measure`: block means of their middle, grey or coloured as is wanted."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.transform import downscale_local_mean

from equivariance.measuring.sources import as_source

SHAPES = {"coloured.png": (10, 14, 3), "grey.png": (12, 12)}


@pytest.fixture
def folder(tmp_path):
    draw = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        Image.fromarray(draw.integers(0, 256, shape, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def pixels(path):
    """(c, rows, columns) in [0, 1]."""
    return np.atleast_3d(np.asarray(Image.open(path), np.float64) / 255).transpose(2, 0, 1)


def seen(*inputs, **options):
    source = as_source(*inputs, **options)
    return source.moved(torch.zeros(1, 2, dtype=torch.float64))[0].numpy()


def test_a_picture_is_averaged_over_the_largest_blocks_of_its_middle(folder) -> None:
    """3 × 4 blocks of 3 × 3 pixels: rows 0 to 8 of 10, columns 1 to 12 of 14."""
    path = folder / "coloured.png"
    expected = downscale_local_mean(pixels(path)[:, 0:9, 1:13], (1, 3, 3))
    np.testing.assert_allclose(seen(path, (3, 4)), expected[None], rtol=1e-14)
    assert as_source(path, (3, 4)).about == "the image coloured.png"


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_a_folder_have_the_channels_that_are_wanted(folder, channels) -> None:
    """Colours are averaged, grey is repeated."""
    colours = downscale_local_mean(pixels(folder / "coloured.png")[:, 1:9, 3:11], (1, 2, 2))
    grey = downscale_local_mean(pixels(folder / "grey.png"), (1, 3, 3))
    expected = {
        1: [colours.mean(0, keepdims=True), grey],
        3: [colours, np.repeat(grey, 3, 0)],
    }[channels]
    found = seen(folder, (4, 4), channels=channels)
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-14)
    assert as_source(folder, (4, 4), channels).about == f"2 images from {folder.name}"


@pytest.mark.parametrize(
    ("name", "size", "channels", "message"),
    [
        (".", None, None, "images need size=(rows, columns), got None"),
        ("grey.png", (8,), None, "images need size=(rows, columns), got (8,)"),
        (".", (4, 4), None, "the images are grey and coloured: say how many channels are wanted"),
        ("coloured.png", (4, 4), 2, "coloured.png has 3 channels, expected 2"),
        ("coloured.png", (4, 15), 3, "coloured.png has 10 × 14 pixels, too few for (4, 15)"),
    ],
)
def test_pictures_that_do_not_fit(folder, name, size, channels, message) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        as_source(folder / name, size, channels)


def test_a_loader_gives_its_first_inputs() -> None:
    x = torch.rand(7, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    batches = [(x[:3], "labels"), [x[3:6]], x[6:]]
    assert np.array_equal(seen(iter(batches), None, limit=5), x[:5])
    assert np.array_equal(seen(iter(batches), None, limit=16), x)


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        ([], ValueError, "the loader gives no batches"),
        ([{"x": 3}], TypeError, "alone or first in a tuple, got dict"),
        ([torch.zeros(2, 1, 4), torch.zeros(2, 1, 5)], ValueError, "of one size, got (2, 1, 5)"),
        ([torch.tensor(3.0)], ValueError, "of one size, got ()"),
    ],
)
def test_loaders_that_give_no_inputs(batches, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        as_source(iter(batches), None)
