"""How image files become what a model takes: nothing is turned or converted unless asked."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.datasets.images import Reading, read_image
from certiseg.datasets.volume_file import Window
from certiseg.errors import InputError

RNG = np.random.default_rng(5)
COLOUR = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]
CONVERT = Reading(convert=True)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    if path.suffix == ".webp":
        options["lossless"] = True
    image.save(path, **options)
    return path


def levels(x: np.ndarray) -> np.ndarray:
    """0..255, (H, W) or (H, W, 3)."""
    return np.rint(x * 255).astype(np.uint8).transpose(1, 2, 0).squeeze()


@pytest.mark.parametrize("ending", ["png", "tif", "webp"])
def test_all_lossless_formats_give_the_same_pixels(ending: str, tmp_path: Path) -> None:
    path = saved(Image.fromarray(COLOUR), tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(levels(read_image(path)), COLOUR)


UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
"""Where the first row and column of stored pixels belong (EXIF 2.32, tag 274)."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
def test_every_orientation_of_every_format(orientation: int, ending: str, tmp_path: Path) -> None:
    """Stored pixels where nobody asks, although Pillow turns those of a TIFF."""
    plain = read_image(saved(Image.fromarray(COLOUR), tmp_path / f"plain.{ending}"))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(Image.fromarray(COLOUR), tmp_path / f"a.{ending}", exif=exif)
    found, turned = Reading().read(path, 3), Reading(exif="apply").read(path, 3)
    np.testing.assert_array_equal(found.x, plain)
    np.testing.assert_array_equal(levels(turned.x), UPRIGHT[orientation](levels(plain)))
    assert found.orientation == turned.orientation == orientation
    assert ("exif" in found.notes()) == (orientation != 1)
    assert not turned.notes()
    assert not Reading(exif="ignore").read(path, 3).notes()
    assert (turned.facts()["exif"], found.facts()["exif"]) == ("apply", "ignore")


def clear(mode: str, alpha: int) -> Image.Image:
    image = Image.fromarray(COLOUR if mode == "RGBA" else GREY)
    image.putalpha(Image.new("L", image.size, alpha))
    assert image.mode == mode
    return image


INDEXED = Image.fromarray(COLOUR // 128 * 255).quantize(8)
CONVERTED = [
    (Image.fromarray(GREY), "png", np.dstack([GREY] * 3), "grey to RGB"),
    (clear("RGBA", 255), "png", COLOUR, "RGBA to RGB"),
    (clear("RGBA", 255), "webp", COLOUR, "RGBA to RGB"),
    (clear("RGBA", 40), "png", COLOUR, "RGBA to RGB, alpha dropped"),
    (clear("LA", 40), "png", np.dstack([GREY] * 3), "grey with alpha to RGB, alpha dropped"),
    (INDEXED, "png", COLOUR // 128 * 255, "palette to RGB"),
    (Image.fromarray(GREY > 99), "png", np.dstack([(GREY > 99) * 255] * 3), "1-bit to RGB"),
]


@pytest.mark.parametrize(("image", "ending", "expected", "words"), CONVERTED)
def test_conversions_are_asked_for_and_recorded(
    image: Image.Image, ending: str, expected: np.ndarray, words: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{ending}"
    image.save(path, lossless=True, exact=True)
    if image.mode != "RGBA" or ending == "png":
        with pytest.raises(InputError, match=r"expected an 8-bit RGB image .*--convert reads it"):
            read_image(path)
        found = CONVERT.read(path, 3)
        assert found.facts()["converted"] == words
        assert ("alpha" in found.notes()) == words.endswith("dropped")
    # WebP drops an alpha channel that is opaque by itself.
    np.testing.assert_array_equal(levels(CONVERT.read(path, 3).x), expected)


def test_equal_channels_become_grey_and_colours_do_not(tmp_path: Path) -> None:
    path = saved(Image.fromarray(GREY).convert("RGB"), tmp_path / "a.png")
    with pytest.raises(InputError, match="expected an 8-bit grey image"):
        read_image(path, 1)
    found = CONVERT.read(path, 1)
    assert found.converted == "RGB to grey"
    np.testing.assert_array_equal(levels(found.x), GREY)
    with pytest.raises(InputError, match="got RGB in colours"):
        CONVERT.read(saved(Image.fromarray(COLOUR), tmp_path / "b.png"), 1)


def test_nothing_is_recorded_as_converted_that_was_not(tmp_path: Path) -> None:
    path = saved(Image.fromarray(COLOUR), tmp_path / "a.png")
    assert CONVERT.read(path, 3).converted is None
    np.testing.assert_array_equal(CONVERT.read(path, 3).x, read_image(path))


DEEP = {
    "16-bit png": (np.array([[0, 100, 1000, 65535]], np.uint16), "png"),
    "16-bit tif": (np.array([[0, 100, 1000, 65535]], np.uint16), "tif"),
    "32-bit tif": (np.array([[0, 100, 1000, 70000]], np.int32), "tif"),
    "float tif": (np.array([[-5.5, 100, 1000, 70000]], np.float32), "tif"),
}


@pytest.mark.parametrize("kind", DEEP)
@pytest.mark.parametrize("channels", [1, 3])
def test_deep_images_need_a_window(kind: str, channels: int, tmp_path: Path) -> None:
    values, ending = DEEP[kind]
    path = saved(Image.fromarray(values), tmp_path / f"a.{ending}")
    with pytest.raises(InputError, match=r"--window LOW HIGH"):
        CONVERT.read(path, channels)
    window = Window(100, 1100)
    if channels == 3:
        with pytest.raises(InputError, match=r"--convert"):
            Reading(window=window).read(path, 3)
    found = Reading(convert=channels == 3, window=window).read(path, channels)
    assert found.x.dtype == np.float32
    assert found.x.shape == (channels, 1, 4)
    assert found.x[0, 0].tolist() == pytest.approx([0, 0, 0.9, 1])
    assert (found.x == found.x[:1]).all()
    assert (found.window, found.clipped) == ((100, 1100), 0.5)
    assert "50.0% of its values lie outside" in found.notes()["window"]


def test_the_whole_range_of_16_bits_and_8_bits(tmp_path: Path) -> None:
    deep = saved(Image.fromarray(GREY.astype(np.uint16) * 257), tmp_path / "a.png")
    plain = saved(Image.fromarray(GREY), tmp_path / "b.png")
    whole = Reading(window=Window(0, 65535)).read(deep, 1)
    np.testing.assert_allclose(whole.x, read_image(plain, 1), atol=1e-7)
    assert not whole.notes()
    half = Reading(window=Window(0, 510)).read(plain, 1).x
    np.testing.assert_allclose(half, read_image(plain, 1) / 2, atol=1e-7)


@pytest.mark.parametrize("ending", ["tif", "png", "webp"])
def test_several_frames_are_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    more = [Image.fromarray(255 - COLOUR), Image.fromarray(COLOUR[::-1].copy())]
    Image.fromarray(COLOUR).save(path, save_all=True, append_images=more)
    with pytest.raises(InputError, match="expected one image, got 3 frames in a"):
        read_image(path)


def test_a_tiff_in_which_0_is_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(Image.fromarray(GREY), tmp_path / "a.tif", tiffinfo={262: 0})
    with pytest.raises(InputError, match="got one in which 0 is white") as error:
        read_image(path, 1)
    typed = re.search(r"Image\..*$", str(error.value))
    assert typed is not None
    exec(typed[0], {"Image": Image, "path": path})
    with Image.open(path) as image:
        np.testing.assert_array_equal(levels(read_image(tmp_path / "a.png", 1)), np.asarray(image))


@pytest.mark.parametrize("ending", ["tif", "webp"])
def test_damaged_files_are_refused_or_read_whole(ending: str, tmp_path: Path) -> None:
    whole = saved(Image.fromarray(COLOUR), tmp_path / f"a.{ending}").read_bytes()
    path = tmp_path / f"b.{ending}"
    refused = 0
    for position in range(0, len(whole), 3):
        for bad in (whole[:position], _flipped(whole, position)):
            path.write_bytes(bad)
            try:
                assert read_image(path).ndim == 3
            except InputError:
                refused += 1
    assert refused > len(whole) // 3


def test_a_tag_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    """Pillow would go on without it, be it a description or what pixels mean."""
    path = saved(Image.fromarray(GREY), tmp_path / "a.tif", software="x" * 40)
    assert read_image(path, 1).shape == (1, 5, 7)
    whole = path.read_bytes()
    entry = whole.index(struct.pack("<HH", 305, 2))
    path.write_bytes(whole[: entry + 8] + struct.pack("<I", 2**30) + whole[entry + 12 :])
    with pytest.raises(InputError, match="damaged one"):
        read_image(path, 1)


def _flipped(content: bytes, position: int) -> bytes:
    changed = bytearray(content)
    changed[position] ^= 0x55
    return bytes(changed)


def test_a_jpeg_with_a_preview_is_its_first_image(tmp_path: Path) -> None:
    """MPO, which telephones write as .jpg."""
    plain = saved(Image.fromarray(COLOUR), tmp_path / "plain.jpg")
    path = tmp_path / "a.jpg"
    Image.fromarray(COLOUR).save(
        path, "MPO", save_all=True, append_images=[Image.fromarray(255 - COLOUR)]
    )
    with Image.open(path) as image:
        assert (image.format, image.n_frames) == ("MPO", 2)
    np.testing.assert_array_equal(read_image(path), read_image(plain))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_other_colour_spaces_have_a_remedy_that_works(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(Image.fromarray(COLOUR).convert(mode), tmp_path / "a.tif")
    with pytest.raises(InputError, match=f"got {mode}; write it again as RGB") as error:
        CONVERT.read(path, 3)
    exec(str(error.value).partition("as RGB: ")[2], {"Image": Image, "path": path})
    assert read_image(tmp_path / "a.png").shape == (3, 5, 7)


def test_16_bit_grey_big_endian_and_turned(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(Image.fromarray(deep), tmp_path / "a.tif", exif=exif)
    reading = Reading(window=Window(0, 65535), exif="apply")
    np.testing.assert_allclose(reading.read(path, 1).x[0], np.rot90(deep, -1) / 65535, atol=1e-7)
    path.write_bytes(_big_endian(deep))
    np.testing.assert_allclose(reading.read(path, 1).x[0], deep / 65535, atol=1e-7)


def _big_endian(values: np.ndarray) -> bytes:
    """A TIFF file of one strip."""
    height, width = values.shape
    pixels = values.astype(">u2").tobytes()
    tags = [
        *((256, width), (257, height), (258, 16), (259, 1), (262, 1)),
        *((273, 8), (277, 1), (278, height), (279, len(pixels))),
    ]
    entries = b"".join(struct.pack(">HHIHH", tag, 3, 1, value, 0) for tag, value in tags)
    head = struct.pack(">2sHI", b"MM", 42, 8 + len(pixels))
    return head + pixels + struct.pack(">H", len(tags)) + entries + bytes(4)
