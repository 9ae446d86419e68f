"""The explorer's computation: both ways round the square, against the measures and operators of the packages."""

import base64
import dataclasses
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image

from discretize import AliasingWarning, Grid, sample
from equivariance import equivariance_error
from equivariance.bad_input import BadInput
from equivariance.explorer import fields_and_networks as picture
from equivariance.explorer.answers import curve_as_json, dataset, netcdf, packed
from equivariance.explorer.fields_and_networks import chain, decoded, field
from equivariance.explorer.state import FIELDS, METHODS, NETWORKS, PICTURE, State, menus, parse
from equivariance.explorer.views import ROUNDING, base, curve, view
from equivariance.verdicts import COLUMNS
from tests.compare import assert_close

GREY = bytes(range(256)) * (PICTURE**2 // 256)
WHOLE = [(1.0, 3.0), (-5.0, 2.0)]
REAL = [(0.3, 1.7), (math.pi, -math.sqrt(2))]


def at(t: tuple[float, float], **settings: Any) -> Any:
    return view(State(size=32, **settings, t=t))


@pytest.mark.parametrize("method", METHODS)
def test_multiples_of_the_stride(method: str) -> None:
    """Every subsampling commutes with translations by multiples of the stride."""
    place = METHODS[method].place
    for t in [(0.0, 0.0), (2.0, -4.0), (-6.0, 10.0)]:
        assert at(t, method=method, place=place).error <= ROUNDING


@pytest.mark.parametrize("method", ["stride", "max", "average", "blurpool"])
def test_off_the_multiples(method: str) -> None:
    for t in [WHOLE[0], REAL[0]]:
        assert at(t, method=method).error > 0.01


@pytest.mark.parametrize("method", ["xu", "polyphase"])
def test_whole_pixels(method: str) -> None:
    """The kept points go with the input by whole pixels, modulo the stride; between pixels no promise holds."""
    start = at((0.0, 0.0), method=method, stride=4).discrete.grid.origin
    for t in WHOLE:
        v = at(t, method=method, stride=4)
        assert v.error <= ROUNDING
        assert_close((v.discrete.grid.origin - start) % 4, torch.tensor(t).double() % 4, 4)
    assert at(REAL[0], method=method, stride=4).error > 0.01


@pytest.mark.parametrize("kind", ["noise", "cat", "camera", "coins"])
@pytest.mark.parametrize("network", ["cnn", "maxpool", "residual"])
def test_comoving_grid(kind: str, network: str) -> None:
    """In front of any network the comoving grid makes it commute with real translations, and goes with the input."""
    settings: Any = {"method": "comoving", "place": "front", "field": kind, "network": network}
    start = at((0.0, 0.0), **settings).discrete.grid.origin
    for t in [*WHOLE, *REAL]:
        v = at(t, **settings)
        assert v.error <= ROUNDING
        gone = (v.discrete.grid.origin - start - torch.tensor(t, dtype=torch.float64)) / 2
        assert float((gone - gone.round()).abs().max()) < 1e-9


def test_alias_free() -> None:
    """Where nothing makes waves above Nyquist, comoving and low-pass subsampling hold behind the network, too."""
    for method in ("comoving", "lowpass"):
        for t in REAL:
            assert at(t, method=method, nonlinearity="polynomial").error <= ROUNDING
            assert at(t, method=method, network="convolution").error <= ROUNDING
        assert at(REAL[0], method=method).error > 0.01


def test_still_points() -> None:
    for t in WHOLE + REAL:
        assert at(t).discrete.grid.origin.tolist() == [0.0, 0.0]


def test_unshared() -> None:
    """A bias that varies in space breaks it at multiples of the stride as well."""
    assert at((4.0, 2.0), network="unshared").error > 1e-3


@pytest.mark.every_case
@pytest.mark.parametrize("kind", [k for k in FIELDS if k != "upload"])
@pytest.mark.parametrize("t", [(2.0, 1.0), (0.3, 1.7)])
def test_same_as_the_measure(kind: str, t: tuple[float, float]) -> None:
    """The error shown is `equivariance_error`."""
    state = State(field=kind, size=32, t=t, method="xu", network="maxpool")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AliasingWarning)
        grid = Grid((32, 32), 1.0)
        expected = equivariance_error(chain(state), field(state), t, grid)
    error = view(state).error
    assert error is not None
    assert abs(error - float(expected)) <= 1e-12


@pytest.mark.parametrize("network", [n for n in NETWORKS if n != "unshared"])
def test_continuous_output(network: str) -> None:
    """What is drawn of the continuous network goes through the discrete network's values, t▷ through all of it."""
    v = at((0.3, 1.7), network=network, stride=1)
    m = v.output.grid.shape[0] // 32
    assert_close(v.output.values[:, ::m, ::m], v.discrete.values, 1e4)
    assert_close(v.field.values[:, ::m, ::m], v.sampled.values, 1e4)


def test_curve() -> None:
    """The curve's errors are those of the views at its translations; zeros lie at multiples of the stride."""
    state = State(size=32, stride=4, t=(1.0, 0.7))
    for line in ("diagonal", "down", "across"):
        c = curve(dataclasses.replace(state, line=line))
        for i in (0, 5, 16, 21):
            one = view(dataclasses.replace(state, t=c.translations[i])).error
            assert abs(c.errors[i] - one) < 1e-12
    diagonal = curve(state)
    found = [p for p, e in zip(diagonal.positions, diagonal.errors, strict=True) if e <= ROUNDING]
    assert found == [-8.0, -4.0, 0.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("line", "t", "group"),
    [
        ("diagonal", (1.0, 0.7), "generated by (4, 4)"),
        ("down", (0.0, 0.0), "4Z × ?"),
        ("down", (0.0, 0.7), "none"),
    ],
)
def test_curve_in_the_words_of_all_verdicts(line: str, t: tuple[float, float], group: str) -> None:
    told = curve_as_json(curve(State(size=32, stride=4, t=t, line=line)))["verdict"]
    assert list(told) == list(COLUMNS)
    assert told["commutes with"] == group
    assert told["elsewhere"] != "–"


def test_one_scale() -> None:
    """The colours mean the same at every translation."""
    scales = {at(t, field="gaussians").scale for t in [(0.0, 0.0), *WHOLE, *REAL]}
    assert len(scales) == 1


def test_borders() -> None:
    """Without periodicity only the points that both ways know are compared; without a network they agree."""
    v = at((4.0, -2.0), network="identity", boundary="zero")
    assert v.error <= ROUNDING
    assert not v.approximate
    unknown = torch.isnan(v.difference[0])
    assert unknown[:2].all()
    assert unknown[:, -1].all()
    assert int(unknown.sum()) == 16 * 16 - 14 * 15
    assert at((4.0, -2.0), boundary="zero").error > 1e-3
    assert at((0.5, 0.0), network="identity", boundary="nearest").approximate


def test_vanishing_output() -> None:
    """A picture of one grey has no relative error, and no error is claimed."""
    state = State(field="upload", picture=bytes(PICTURE**2), network="identity", size=32)
    assert view(state).error is None
    assert set(curve(state).errors) == {None}


def test_states() -> None:
    state = State(field="upload", picture=GREY, t=(0.1, -3.0), method="xu", size=96)
    assert parse(state.as_json()) == state
    assert parse({}) == State()
    assert set(menus()) >= {"field", "method", "promises"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "a state is an object, got list"),
        ({"colour": 1}, "there is no setting 'colour'"),
        ({"field": "dog"}, "field must be one of noise"),
        ({"field": ["noise"]}, "field must be one of noise"),
        ({"size": 65}, "size must be one of 32, 48, 64, 96, 128, got 65"),
        ({"size": 64.0}, "size must be one of"),
        ({"depth": True}, "depth must be one of"),
        ({"seed": -1}, "seed must be a whole number from 0 to 9999, got -1"),
        ({"t": [0, math.nan]}, "t must be two numbers"),
        ({"t": [0, 1e9]}, "t must be two numbers"),
        ({"t": [1]}, "t must be two numbers"),
        ({"t": "1,2"}, "t must be two numbers"),
        ({"picture": "AAAA"}, "picture must be 128 × 128 grey bytes"),
        ({"picture": "%%%"}, "picture must be 128 × 128 grey bytes"),
        ({"field": "upload"}, "choose an image file first"),
        ({"picture": base64.b64encode(GREY).decode()}, "belongs to the field"),
        ({"method": "comoving", "boundary": "zero"}, "Comoving grid needs a periodic boundary"),
        ({"nonlinearity": "polynomial", "boundary": "zero"}, "alias-free polynomial needs"),
    ],
)
def test_refused_states(words: Any, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse(words)


def test_every_choice() -> None:
    """Nothing that the menus offer raises."""
    for network in NETWORKS:
        for boundary in ("periodic", "zero", "reflect", "nearest"):
            for place in ("behind", "front"):
                state = State(network=network, boundary=boundary, place=place, size=32, t=REAL[1])
                assert view(state).error >= 0
    for boundary in ("zero", "reflect", "nearest"):
        for name, method in METHODS.items():
            if not method.periodic:
                assert at((1.0, 2.0), method=name, boundary=boundary).error >= 0


def test_packed() -> None:
    v = at((0.3, 1.7), boundary="zero")
    data = packed(v)
    length = int.from_bytes(data[:4], "little")
    assert length % 4 == 0
    sizes = [v.field.values.numel()] * 2 + [v.discrete.values.numel()] * 3
    numbers = np.frombuffer(data[4 + length :], "<f4")
    assert len(numbers) == sum(sizes)
    assert_close(torch.tensor(numbers[: sizes[0]]), v.field.values.flatten().float(), 1)
    np.testing.assert_array_equal(numbers[-sizes[-1] :], v.difference.flatten().float())


def test_file(tmp_path: Any) -> None:
    """The file holds what is shown, in double precision, and the state that made it."""
    state = State(size=32, t=(0.3, 1.7), method="xu", stride=4)
    v, c = view(state), curve(state)
    path = tmp_path / "view.nc"
    path.write_bytes(netcdf(v, c))
    with xr.open_dataset(path, engine="scipy") as stored:
        xr.testing.assert_equal(stored.load(), dataset(v, c))
        assert '"method": "xu"' in stored.attrs["configuration"]
        difference = stored["output_of_moved"] - stored["moved_output"]
        np.testing.assert_array_equal(difference, stored["difference"])
        norms = [float((stored[n] ** 2).sum() ** 0.5) for n in ("difference", "moved_output")]
        assert math.isclose(norms[0] / norms[1], float(stored["error"]), rel_tol=1e-12)
        origin = stored["x1_kept"].values[0], stored["x2_kept"].values[0]
    assert origin == tuple(v.discrete.grid.origin.tolist())


# --- pictures ---------------------------------------------------------------------------------------------------


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    import io

    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WebP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_pictures(kind: str, mode: str) -> None:
    """A ramp stays a ramp: the middle square, averaged."""
    ramp = np.tile(np.linspace(0, 255, 256), (512, 1)).astype(np.uint8)
    data = encoded(Image.fromarray(ramp).convert(mode), kind, quality=100)
    grey = np.frombuffer(decoded(data), np.uint8).reshape(PICTURE, PICTURE)
    expected = np.linspace(0, 255, 256).astype(np.uint8).reshape(-1, 2).mean(1)
    assert np.abs(grey - expected).max() <= 4  # lossy formats, and the filter at the rim


def test_transparent_and_deep_pictures() -> None:
    clear = Image.new("RGBA", (200, 150), (0, 0, 0, 0))
    assert set(decoded(encoded(clear, "PNG"))) == {255}
    deep = Image.fromarray(np.full((64, 64), 32768, np.uint16))
    assert set(decoded(encoded(deep, "PNG"))) == {128}


def bomb() -> bytes:
    """A PNG whose header claims 30000 × 30000 pixels, and holds next to nothing."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


ANIMATED = [Image.new("L", (8, 8), c) for c in (0, 99, 255)]
REFUSED = {
    "empty": (b"", "the file is empty"),
    "text": (b"hello", "no PNG, JPEG, WebP image"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no PNG, JPEG, WebP image"),
    "gif": (encoded(ANIMATED[0], "GIF"), "no PNG, JPEG, WebP image"),
    "tiff": (encoded(ANIMATED[0], "TIFF"), "no PNG, JPEG, WebP image"),
    "sound": (b"RIFF\x00\x00\x00\x00WAVEfmt ", "no PNG, JPEG, WebP image"),
    "broken": (encoded(Image.new("L", (64, 64)), "PNG")[:60], "can't be read as an image"),
    "damaged": (b"\x89PNG\r\n\x1a\n" + bytes(200), "is damaged"),
    "bomb": (bomb(), "900000000 pixels"),
    "tiny": (encoded(Image.new("L", (1, 1)), "PNG"), "1 × 1 pixels: too few"),
    "long": (b"\x89PNG\r\n\x1a\n" + bytes(picture.FILE_BOUND), "more than 8 MiB"),
    "animated": (
        encoded(ANIMATED[0], "WebP", save_all=True, append_images=ANIMATED[1:], duration=50),
        "frames",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_pictures(name: str) -> None:
    data, said = REFUSED[name]
    with pytest.raises(BadInput, match=said):
        decoded(data)


def test_upload_becomes_the_field() -> None:
    """An uploaded picture is a field like the photographs, without waves at Nyquist."""
    state = State(field="upload", picture=GREY, size=32)
    low = sample(field(state), Grid((32, 32), 1.0)).values[0]
    spectrum = torch.fft.fft2(low).abs()
    assert float(spectrum[16].max()) < 1e-9 * float(spectrum.max())
    assert float(low.abs().max()) > 0.5


def test_bounded_caches() -> None:
    """All that outlives a request is bounded."""
    assert 0 < base.cache_info().maxsize <= 16
