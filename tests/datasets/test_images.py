"""The readers take exactly what they promise, and name file, expected, got and remedy otherwise."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.datasets.images import read_image
from certiseg.datasets.label_file import read_labels
from certiseg.errors import InputError

RNG = np.random.default_rng(3)
COLOUR = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
GREY = COLOUR[..., 0]


def _png(picture: Image.Image, path: Path, **options: object) -> Path:
    picture.save(path, **options)
    return path


def _one_line(error: pytest.ExceptionInfo[InputError], path: Path) -> str:
    text = str(error.value)
    assert "\n" not in text
    for word in (str(path), "expected", "got", ";"):
        assert word in text
    return text


def test_reads_colour_exactly(tmp_path: Path) -> None:
    image = read_image(_png(Image.fromarray(COLOUR), tmp_path / "a.png"))
    assert image.dtype == np.float32
    assert image.shape == (3, 12, 10)
    np.testing.assert_array_equal(np.rint(image * 255).astype(np.uint8), COLOUR.transpose(2, 0, 1))
    assert 0 <= image.min() <= image.max() <= 1


def test_reads_grey_and_jpeg(tmp_path: Path) -> None:
    assert read_image(_png(Image.fromarray(GREY), tmp_path / "g.png"), 1).shape == (1, 12, 10)
    assert read_image(_png(Image.fromarray(COLOUR), tmp_path / "a.jpg")).shape == (3, 12, 10)
    assert read_image(_png(Image.fromarray(GREY), tmp_path / "g.jpeg"), 1).shape == (1, 12, 10)


@pytest.mark.parametrize(
    ("mode", "channels", "got"),
    [
        ("L", 3, "grey"),
        ("RGBA", 3, "RGBA"),
        ("LA", 3, "grey with alpha"),
        ("P", 3, "palette"),
        ("1", 3, "1-bit"),
        ("RGB", 1, "RGB"),
        ("P", 1, "palette"),
    ],
)
def test_refuses_other_modes(tmp_path: Path, mode: str, channels: int, got: str) -> None:
    path = _png(Image.fromarray(COLOUR).convert(mode), tmp_path / "x.png")
    with pytest.raises(InputError) as error:
        read_image(path, channels)
    assert f"got {got}" in _one_line(error, path)


def test_refuses_16_bit(tmp_path: Path) -> None:
    path = _png(Image.fromarray(GREY.astype(np.uint16) * 257), tmp_path / "deep.png")
    for channels in (1, 3):
        with pytest.raises(InputError) as error:
            read_image(path, channels)
        assert "16-bit" in _one_line(error, path)
        assert "convert(" not in _one_line(error, path)  # it would clip, not scale


def test_refuses_16_bit_colour_which_the_decoder_would_narrow_silently(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    path.write_bytes(_deep_colour_png())
    with Image.open(path) as picture:
        assert picture.mode == "RGB", "the decoder no longer hides the depth; drop this guard"
    with pytest.raises(InputError) as error:
        read_image(path)
    assert "16-bit RGB" in _one_line(error, path)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_refuses_every_truncation(tmp_path: Path, suffix: str) -> None:
    whole = _png(Image.fromarray(COLOUR), tmp_path / f"whole.{suffix}").read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    for length in range(0, len(whole) - 12, 7):
        cut.write_bytes(whole[:length])
        for read in (read_image, read_labels):
            with pytest.raises(InputError) as error:
                read(cut)
            _one_line(error, cut)
    cut.write_bytes(whole)
    read_image(cut)  # the control: the whole file is fine


def test_names_empty_missing_and_foreign_files(tmp_path: Path) -> None:
    empty, text, missing = tmp_path / "empty.png", tmp_path / "text.png", tmp_path / "none.png"
    empty.write_bytes(b"")
    text.write_text("no picture")
    for path, word in ((empty, "empty"), (text, "another"), (missing, "No such file")):
        with pytest.raises(InputError) as error:
            read_image(path)
        assert word in _one_line(error, path)


def test_flipped_bytes_are_an_error_or_read_in_full(tmp_path: Path) -> None:
    whole = bytearray(_png(Image.fromarray(COLOUR), tmp_path / "a.png").read_bytes())
    path = tmp_path / "bad.png"
    refused = 0
    for position in range(8, len(whole), 5):
        bad = bytearray(whole)
        bad[position] ^= 0x55
        path.write_bytes(bad)
        try:
            image = read_image(path)
        except InputError:
            refused += 1
        else:
            assert image.ndim == 3
    assert refused > 10


def test_labels_grey_and_palette(tmp_path: Path) -> None:
    ids = RNG.integers(0, 5, (12, 10), dtype=np.uint8)
    grey = _png(Image.fromarray(ids), tmp_path / "l.png")
    indexed = Image.fromarray(ids, mode="L").convert("L")
    palette = Image.frombytes("P", indexed.size, ids.tobytes())
    palette.putpalette([9, 9, 9] * 5)
    coloured = _png(palette, tmp_path / "p.png", bits=4)
    for path in (grey, coloured):
        read = read_labels(path)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, ids)


def test_labels_refuse_pictures(tmp_path: Path) -> None:
    colour = _png(Image.fromarray(COLOUR), tmp_path / "c.png")
    lossy = _png(Image.fromarray(GREY), tmp_path / "c.jpg")
    for path in (colour, lossy):
        with pytest.raises(InputError) as error:
            read_labels(path)
        _one_line(error, path)


def _deep_colour_png() -> bytes:
    """A 16-bit RGB PNG, which Pillow reads but does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    out = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    out.seek(0, io.SEEK_END)
    out.write(chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 2, 0, 0, 0)))
    out.write(chunk(b"IDAT", zlib.compress((b"\0" + b"\x12\x34" * 6) * 2)))
    out.write(chunk(b"IEND", b""))
    return out.getvalue()
