"""Images: pixels of a known file, in whatever way it holds them, exactly; and what is refused."""

import gc
import io
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fields import Interpolated
from fields.reading import images
from tests.compare import assert_close

#: Rows and columns: those of three and four rows or columns could be taken for channels.
SIZES = [(4, 6), (3, 3), (4, 4), (4, 2), (2, 4), (5, 1), (1, 1)]
MODES = ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"]
KEYED = ["1", "L", "RGB", "P", "I;16"]


def picture(mode: str, rows: int, columns: int) -> tuple[Image.Image, np.ndarray, np.ndarray]:
    """An image, its raw numbers (rows, columns, layers), and its values in [0, 1] with alpha."""
    draw = np.random.default_rng(rows + 10 * columns)
    if mode == "I;16":
        raw = draw.integers(0, 1 << 16, (rows, columns, 1), np.uint16)
        return Image.fromarray(raw[..., 0]), raw, raw / 65535
    if mode == "1":
        raw = draw.integers(0, 2, (rows, columns, 1)).astype(bool)
        return Image.fromarray(raw[..., 0]), raw, raw.astype(float)
    layers = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "P": 1}[mode]
    raw = draw.integers(0, 256, (rows, columns, layers), np.uint8)
    image = Image.fromarray(raw[..., 0] if layers == 1 else raw)
    if mode == "P":
        colours = draw.integers(0, 256, (256, 3), np.uint8)
        image = Image.frombytes("P", (columns, rows), raw.tobytes())
        image.putpalette(colours.flatten().tolist())
        return image, raw, colours[raw[..., 0]] / 255
    return image, raw, raw / 255


def read(path: Path) -> tuple[np.ndarray, list[str]]:
    """Values (rows, columns, c) of the field, and what was warned of."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        field = Interpolated.from_image(path, method="nearest")
    assert all(w.filename == __file__ for w in seen)
    return field.values.movedim(0, -1).numpy(), sorted(str(w.message) for w in seen)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_pixels(mode: str, size: tuple[int, int], tmp_path: Path) -> None:
    """Every pixel is read exactly; alpha is blended with white; conversions, and only these, are said."""
    path = tmp_path / "image.png"
    image, _, expected = picture(mode, *size)
    image.save(path)
    values, said = read(path)
    if expected.shape[-1] in (2, 4):
        alpha = expected[..., -1:]
        expected = alpha * expected[..., :-1] + 1 - alpha
        assert [s.split("has ")[1] for s in said] == ["an alpha channel: it was blended with white"]
    elif mode == "P":
        assert [s.split("has ")[1] for s in said] == ["a palette: it was converted to colours"]
    else:
        assert not said
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("mode", KEYED)
def test_transparent_colours(mode: str, tmp_path: Path) -> None:
    """Pixels of the colour that a file declares transparent are white."""
    path = tmp_path / "image.png"
    image, raw, expected = picture(mode, 4, 5)
    key: Any = raw[0, 0].astype(int).tolist()
    key = 255 * key[0] if mode == "1" else key[0] if len(key) == 1 else tuple(key)
    image.save(path, transparency=key)
    values, said = read(path)
    hidden = (raw == raw[0, 0]).all(-1)
    np.testing.assert_allclose(values, np.where(hidden[..., None], 1.0, expected), atol=1e-15)
    assert sum("alpha" in s for s in said) == 1
    assert len(said) == (2 if mode == "P" else 1)


def wide_png(path: Path, raw: np.ndarray) -> None:
    """A PNG of 16 bits per colour, which Pillow reads and doesn't write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    rows, columns, layers = raw.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[layers]
    head = struct.pack(">IIBBBBB", columns, rows, 16, kind, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in raw)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks))


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
def test_16_bits_per_colour(layers: int, tmp_path: Path) -> None:
    """Grey ones are exact; of others the readers keep 8 bits, which is said."""
    raw = np.random.default_rng(0).integers(0, 1 << 16, (4, 5, layers), np.uint16)
    wide_png(tmp_path / "image.png", raw)
    values, said = read(tmp_path / "image.png")
    kept = raw / 65535 if layers == 1 else (raw >> 8) / 255
    if layers in (2, 4):
        kept = kept[..., -1:] * kept[..., :-1] + 1 - kept[..., -1:]
    np.testing.assert_allclose(values, kept, rtol=0, atol=1e-15)
    assert any("16 bits per colour: they were cut to 8" in s for s in said) == (layers > 1)


def test_other_formats(tmp_path: Path) -> None:
    """TIFF keeps 16 bits and floats; the inks of a JPEG become colours, aloud."""
    import tifffile

    draw = np.random.default_rng(0)
    raw, numbers = draw.integers(0, 1 << 16, (4, 5, 3), np.uint16), draw.random((4, 5), np.float32)
    tifffile.imwrite(tmp_path / "wide.tif", raw, photometric="rgb")
    np.testing.assert_array_equal(read(tmp_path / "wide.tif")[0], raw / 65535)
    Image.fromarray(numbers).save(tmp_path / "float.tif")
    np.testing.assert_array_equal(read(tmp_path / "float.tif")[0][..., 0], numbers)
    inks = Image.new("CMYK", (5, 4), (0, 255, 255, 0))
    inks.save(tmp_path / "inks.jpg", quality=100)
    values, (said,) = read(tmp_path / "inks.jpg")
    assert np.abs(values - [1, 0, 0]).max() < 0.02
    assert "colours of the kind CMYK: they were converted to RGB" in said


@pytest.mark.parametrize("name", ["wide.tif", "planes.tif", "wide.png", "plain.png"])
def test_bytes_are_read_as_their_file(name: str, tmp_path: Path) -> None:
    """An image in memory, or under another name, whichever reader takes it: all bits of it."""
    import tifffile

    draw, path = np.random.default_rng(1), tmp_path / name
    if name.endswith("tif"):
        raw = draw.integers(0, 1 << 16, (4, 5, 3), np.uint16)
        planes = name == "planes.tif"  # of one colour after the other
        tifffile.imwrite(
            path,
            np.moveaxis(raw, -1, 0) if planes else raw,
            photometric="rgb",
            planarconfig="separate" if planes else "contig",
        )
        expected = raw / 65535
    else:
        written, _, expected = picture("I;16" if name == "wide.png" else "RGB", 4, 5)
        written.save(path)
    found = images.read(io.BytesIO(path.read_bytes()))
    np.testing.assert_array_equal(found.movedim(0, -1), expected)
    np.testing.assert_array_equal(read(path)[0], expected)
    np.testing.assert_array_equal(read(path.rename(tmp_path / "download"))[0], expected)


def test_axes_and_spacing(tmp_path: Path) -> None:
    """Rows along x1, columns along x2, spaced as asked for."""
    image, _, expected = picture("RGB", 4, 6)
    image.save(tmp_path / "image.png")
    field = Interpolated.from_image(tmp_path / "image.png", spacing=0.5, method="linear")
    assert (field.dim, field.channels, field.shape) == (2, 3, (4, 6))
    assert field.period == (2.0, 3.0)
    assert_close(field([1.5, 2.0]), expected[3, 4], 10, 1.0)


# --- what is refused ----------------------------------------------------------------------------


def test_unreadable_images(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no image")
    cut = tmp_path / "cut.png"
    picture("RGB", 20, 20)[0].save(cut)
    cut.write_bytes(cut.read_bytes()[:400])
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)  # what can't be read is closed, too
        for path in (broken, cut, tmp_path / "missing.png"):
            with pytest.raises(ValueError, match=f"{path.name} can't be read as an image"):
                Interpolated.from_image(path)
        gc.collect()


#: Where the file's first row and first column are seen, as EXIF numbers them.
SIDES = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


@pytest.mark.parametrize(("number", "sides"), SIDES.items(), ids=str)
@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_pictures_are_the_right_way_up(number: int, sides: Any, kind: str, tmp_path: Path) -> None:
    """As the camera was held."""
    path = tmp_path / f"image.{kind}"
    made, raw, _ = picture("RGB", 3, 5)
    exif = Image.Exif()
    exif[0x0112] = number
    made.save(path, exif=exif)
    seen = raw / 255
    if sides[0] in ("left", "right"):
        seen = seen.swapaxes(0, 1)
    if "bottom" in sides:
        seen = seen[::-1]
    if "right" in sides:
        seen = seen[:, ::-1]
    values, said = read(path)
    assert np.array_equal(values, seen)
    assert said == []


def test_cameras_write_previews_behind_the_picture(tmp_path: Path) -> None:
    """The picture is the first; that there are more is said."""
    path = tmp_path / "image.jpg"
    first, second = (Image.new("RGB", (8, 4), (grey, grey, grey)) for grey in (51, 204))
    first.save(path, "MPO", save_all=True, append_images=[second])
    values, said = read(path)
    assert values.shape == (4, 8, 3)
    assert np.array_equal(values, np.full((4, 8, 3), 0.2))
    assert said == [f"{path} holds further pictures beside the first: they were left out"]


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [picture("L", 4, n)[0].resize((6, 4)) for n in (5, 6)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match="has 2 frames, a field is made of one"):
        Interpolated.from_image(tmp_path / "film.gif")


@pytest.mark.parametrize(("mode", "size"), [("L", "2"), ("RGB", "6"), ("P", "8")])
def test_too_large_images_are_refused_before_they_are_read(
    mode: str, size: str, tmp_path: Path
) -> None:
    Image.new(mode, (512, 512)).save(tmp_path / "image.png")
    with pytest.raises(
        ValueError, match=rf"512 × 512 pixels and would take {size} MiB, the bound is 1"
    ):
        Interpolated.from_image(tmp_path / "image.png", memory=1 << 20)
