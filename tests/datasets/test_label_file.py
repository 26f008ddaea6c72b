"""Label files as people write them: read as their ids, or refused with a remedy that works."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from certiseg.datasets.card import IGNORE
from certiseg.datasets.label_file import read_colours, read_labels
from certiseg.datasets.labels import BinaryMasks, Ids
from certiseg.errors import InputError

IDS = np.array([[0, 1, 2], [2, 1, 0]], dtype=np.uint8)
MASK = IDS > 0
GREY = Image.fromarray(IDS)


def opaque(image: Image.Image, alpha: int = 255) -> Image.Image:
    image.putalpha(Image.new("L", image.size, alpha))
    return image


def packed(depth: int) -> bytes:
    """A grey PNG of so few bits, which Pillow reads but does not write: ids 0, 1, 2 in one row."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    bits = "".join(f"{v:0{depth}b}" for v in (0, 1, 2)).ljust(16, "0")
    row = b"\0" + int(bits, 2).to_bytes(2)[: (3 * depth + 7) // 8]
    head = struct.pack(">IIBBBBB", 3, 1, depth, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    "image",
    [
        GREY,
        Image.fromarray(IDS.astype(np.uint16)),
        GREY.convert("RGB"),
        opaque(GREY.convert("L")),
        opaque(GREY.convert("RGB")),
    ],
    ids=["grey", "16 bits", "RGB", "grey with alpha", "RGBA"],
)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_ids_in_any_form_that_holds_them(image: Image.Image, ending: str, tmp_path: Path) -> None:
    image.save(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(read_labels(tmp_path / f"a.{ending}"), IDS)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_one_bit_is_0_and_1(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{ending}"
    Image.fromarray(MASK).save(path)
    np.testing.assert_array_equal(read_labels(path), MASK)
    np.testing.assert_array_equal(Ids(2).read(path), MASK)


def test_32_bit_ids_of_label_software(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(IDS.astype(np.int32) * 100).save(path)
    assert read_labels(path).tolist() == (IDS.astype(int) * 100).tolist()
    Image.fromarray(IDS.astype(np.int32) - 1).save(path)
    with pytest.raises(InputError, match="got -1 to 1"):
        read_labels(path)


REFUSED = {
    "colours": (Image.fromarray(np.dstack([IDS, IDS, IDS + 1])), "an RGB file of colours"),
    "clear": (opaque(GREY.convert("L"), 7), "LA that is not opaque"),
    "floats": (Image.fromarray(IDS.astype(np.float32)), "floating-point grey"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_may_mean_something_else_is_refused(kind: str, tmp_path: Path) -> None:
    image, got = REFUSED[kind]
    path = tmp_path / "a.tif"
    image.save(path)
    with pytest.raises(InputError, match=f"got .*{got}") as error:
        read_labels(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["clear", "floats", "2 bits", "4 bits"])
def test_the_remedy_works(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the error says to type makes a file that is read as the ids it held."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ("a.tif" if kind in REFUSED else "a.png")
    if kind in REFUSED:
        REFUSED[kind][0].save(path)
    else:
        path.write_bytes(packed(int(kind[0])))
    with pytest.raises(InputError) as error:
        read_labels(path)
    typed = re.search(r"Image\..*$", str(error.value))
    assert typed is not None
    exec(typed[0], {"Image": Image, "np": np, "path": path})
    expected = IDS if kind in REFUSED else IDS[:1]
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), expected)


def test_compression_that_changes_values_is_refused(tmp_path: Path) -> None:
    GREY.save(tmp_path / "a.tif", compression="jpeg")
    GREY.convert("RGB").save(tmp_path / "a.webp")
    GREY.save(tmp_path / "a.jpg")
    for ending in ("tif", "webp", "jpg"):
        for read in (read_labels, read_colours):
            with pytest.raises(InputError, match=r"compression changes values; export"):
                read(tmp_path / f"a.{ending}")


@pytest.mark.parametrize(
    "drawn",
    [
        Image.fromarray(MASK.astype(np.uint8) * 255),
        Image.fromarray(MASK.astype(np.uint8)),
        Image.fromarray(MASK.astype(np.uint16) * 65535),
        Image.fromarray(MASK),
        Image.fromarray(MASK.astype(np.uint8) * 255).convert("RGB"),
        opaque(Image.fromarray(MASK.astype(np.uint8) * 255)),
    ],
    ids=["255", "1", "65535", "1 bit", "RGB", "alpha"],
)
def test_binary_masks(drawn: Image.Image, tmp_path: Path) -> None:
    drawn.save(tmp_path / "a.png")
    np.testing.assert_array_equal(BinaryMasks(2).read(tmp_path / "a.png"), MASK)


def test_binary_masks_with_ignored_values(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 128, 255]], dtype=np.uint8)).save(tmp_path / "a.png")
    assert BinaryMasks(2, [128]).read(tmp_path / "a.png").tolist() == [[0, IGNORE, 1]]
    with pytest.raises(InputError, match="got 0; it is background"):
        BinaryMasks(2, [0])
    with pytest.raises(InputError, match="expected 2 classes with binary masks, got 3"):
        BinaryMasks(3)


def test_masks_that_are_not_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blurred borders; and 1 beside 255, one of which may mean ignored."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.png"
    Image.fromarray(np.array([[0, 100, 200, 255]], dtype=np.uint8)).save(path)
    with pytest.raises(InputError, match=r"got 100, 200, 255.* threshold it") as error:
        BinaryMasks(2).read(path)
    exec(str(error.value).partition("threshold it: ")[2], {"Image": Image, "path": path})
    assert BinaryMasks(2).read(path).tolist() == [[0, 0, 1, 1]]
    Image.fromarray(np.array([[0, 1, 255]], dtype=np.uint8)).save(path)
    with pytest.raises(InputError, match="one value for the foreground of all masks, got 1 in a"):
        BinaryMasks(2).read(path)
    Image.fromarray(MASK.astype(np.uint8)).save(tmp_path / "one.png")
    Image.fromarray(MASK.astype(np.uint8) * 255).save(tmp_path / "two.png")
    masks = BinaryMasks(2)
    masks.read(tmp_path / "one.png")
    with pytest.raises(InputError, match=r"got 1 in one\.png and 255 in two\.png"):
        masks.read(tmp_path / "two.png")


def test_a_mask_drawn_the_other_way_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Index 0 white, index 1 black: by index the object would be the background."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.png"
    indexed = Image.frombytes("P", (3, 2), (~MASK).astype(np.uint8).tobytes())
    indexed.putpalette([255, 255, 255, 0, 0, 0])
    indexed.save(path)
    with pytest.raises(InputError, match="lighter colour for 0 than for 1") as error:
        BinaryMasks(2).read(path)
    exec(str(error.value).partition("as grey: ")[2], {"Image": Image, "path": path})
    np.testing.assert_array_equal(BinaryMasks(2).read(path), MASK)
    # As ids it is what it says: indices are classes, whatever their colours.
    indexed.save(path)
    np.testing.assert_array_equal(Ids(2).read(path), ~MASK)


def test_255_is_a_class_where_it_is_mapped(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(MASK.astype(np.uint8) * 255).save(path)
    np.testing.assert_array_equal(Ids(2, label_map={0: 0, 255: 1}).read(path), MASK)
    assert set(np.unique(Ids(2).read(path))) == {0, IGNORE}
    assert set(np.unique(Ids(2, [255], {0: 0, 255: 1}).read(path))) == {0, IGNORE}
