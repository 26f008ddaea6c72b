"""Files with a fitting digest that say something in a second way, of another type, or too much."""

from __future__ import annotations

import copy
import io
import json
import string
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import certiseg as cs
from certiseg.certificates import archive, storage
from certiseg.files import documents
from forged import Parts, certificates

CERTIFICATES = {name: Parts.of(certificate) for name, certificate in certificates().items()}
Place = tuple[str | int, ...]


def leaves(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """All values of a record, records and lists among them, but for the whole."""
    if at:
        yield at, value
    if isinstance(value, (dict, list)):
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*at, name))


def at(meta: Any, place: Place) -> Any:
    for name in place:
        meta = meta[name]
    return meta


def put(parts: Parts, place: Place, value: Any) -> Parts:
    meta = copy.deepcopy(parts.meta)
    at(meta, place[:-1])[place[-1]] = value
    return parts.with_meta(meta)


def refusal(parts: Parts, path: Path) -> str:
    """One line, or nothing where the file is taken."""
    try:
        cs.verify(cs.Certificate.load(parts.write(path)))
    except (cs.InputError, cs.ClaimError) as error:
        found = str(error)
    else:
        found = ""
    assert len(found.splitlines()) <= 1
    return found


def older(parts: Parts) -> Parts:
    """Of another version, whose sentence is not compared: the rest must do without it."""
    return parts.with_meta({**parts.meta, "version": "0.0.9"})


WRONG = (None, True, 0, -1, 1.0, 2**70, "1", [], [[1]], {"a": 1})
NULLABLE = {("value_range",), ("source",)}
"""Fields in which null says something else that may be true as well."""


def places() -> Iterator[tuple[Parts, Place, Any]]:
    """Every place of a record once, of whichever certificate holds something there."""
    seen = set()
    for parts in map(older, CERTIFICATES.values()):
        for place, value in [((), parts.meta), *leaves(parts.meta)]:
            kind = (*(None if isinstance(p, int) else p for p in place), value is None)
            if kind not in seen:
                seen.add(kind)
                yield parts, place, value


def test_every_field_refuses_every_other_type(tmp_path: Path) -> None:
    for parts in map(older, CERTIFICATES.values()):
        assert refusal(parts, tmp_path / "a") == ""
    tried = 0
    for parts, place, value in places():
        for wrong in WRONG:
            null = wrong is None and place[-1:] in NULLABLE
            if type(wrong) is type(value) or null or not place:
                continue
            assert refusal(put(parts, place, wrong), tmp_path / "a"), (place, wrong)
            tried += 1
    assert tried > 500


FORMS: dict[str, tuple[str, Place, Any]] = {
    "seed below 0": ("pooled", ("votes", "source", "seed"), -1),
    "seed of 129 bits": ("pooled", ("votes", "source", "seed"), 2**128),
    "draws below 0": ("pooled", ("votes", "source", "draws"), [[-120, 0]]),
    "draws twice": ("pooled", ("votes", "source", "draws"), [[0, 60], [0, 60]]),
    "draws as numbers with a point": ("pooled", ("votes", "source", "draws"), [[0.0, 120.0]]),
    "draws in threes": ("pooled", ("votes", "source", "draws"), [[0, 120, 120]]),
    "more draws than there can be": ("pooled", ("votes", "trials"), 10**9),
    "model not hexadecimal": ("pooled", ("votes", "source", "model"), "xy" * 32),
    "model in capitals": ("pooled", ("votes", "source", "model"), "AB" * 32),
    "input cut off": ("pooled", ("votes", "source", "input"), "cd" * 31),
    "side of none": ("pooled", ("votes", "source", "input_shape"), [3, 0, 3]),
    "sides without end": ("pooled", ("votes", "source", "input_shape"), [1] * 17),
    "side too long": ("pooled", ("votes", "source", "input_shape"), [3, 2**64, 3]),
    "range upside down": ("pooled", ("votes", "source", "value_range"), [1.0, 0.0]),
    "range of one number": ("pooled", ("votes", "source", "value_range"), [0.0]),
    "range of whole numbers": ("pooled", ("votes", "source", "value_range"), [0, 1]),
    "origin": ("pooled", ("votes", "source", "seed_origin"), "dice"),
    "engine of numbers": ("pooled", ("votes", "source", "engine"), {"device": 1}),
    "files without digests": ("pooled", ("votes", "source", "code"), {"models.py": "x"}),
    "batches of none": ("pooled", ("votes", "source", "batch_sizes"), [0]),
    "randomness as a number": ("pooled", ("votes", "source", "own_randomness"), 0),
    "sigma whole": ("pooled", ("noise", "sigma"), 1),
    "sigma true": ("pooled", ("noise", "sigma"), True),
    "channels null": ("pooled", ("noise", "channels"), None),
    "look at draws with a point": ("sequential", ("looks", "looks", 0, "trials"), 40.0),
    "shares whole": ("sequential", ("looks", "shares", 0, 1), 1),
    "parents true": ("adaptive", ("hierarchy", "parents", 0), True),
    "budget true": ("split", ("budget",), True),
    "budget 0": ("split", ("budget",), 0),
    "alpha whole": ("pooled", ("alpha",), 1),
    "version in lines": ("pooled", ("version",), "1\n2"),
    "version empty": ("pooled", ("version",), ""),
}


@pytest.mark.parametrize("form", FORMS)
def test_values_that_no_run_writes(form: str, tmp_path: Path) -> None:
    name, place, value = FORMS[form]
    parts = older(CERTIFICATES[name])
    assert "contradicts itself" in refusal(put(parts, place, value), tmp_path / "a")


OPEN = (("engine",), ("code",))
"""They hold whatever made the draws or the model, each under a name of its own."""


def test_every_record_refuses_a_field_more_less_or_twice(tmp_path: Path) -> None:
    for parts, place, record in places():
        if not isinstance(record, dict):
            continue
        if place[-1:] not in OPEN:
            for changed in (
                {**record, "more": "x"},
                *({k: v for k, v in record.items() if k != gone} for gone in record),
            ):
                changed = put(parts, place, changed) if place else parts.with_meta(changed)
                assert refusal(changed, tmp_path / "a"), (place, changed)
        for key, value in record.items():
            plain = f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}"
            for twin in (plain, f"{json.dumps(key)}: null"):
                twice = Parts(parts.text.replace(plain, f"{twin}, {plain}", 1), parts.arrays)
                assert f"the key {key!r} twice" in refusal(twice, tmp_path / "a")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"alpha": 0.001', '"alpha": NaN'),
        ('"radius": 0.', '"radius": 1e999, "x": 0.'),
        ("[0.0, 1.0]", "[-Infinity, Infinity]"),
        ('"alpha": 0.001', '"alpha": 1e-3'),
        ('"alpha": 0.001', '"alpha":  0.001'),
        ('"key": "street"', '"key": "\\u0073treet"'),
    ],
)
def test_every_value_has_one_form(old: str, new: str, tmp_path: Path) -> None:
    parts = older(CERTIFICATES["pooled"])
    assert old in parts.text
    assert refusal(Parts(parts.text.replace(old, new), parts.arrays), tmp_path / "a")


ARRAYS: dict[str, Any] = {
    "labels unsigned": ("pooled", "labels", lambda a: a.astype(np.uint16)),
    "labels of one more axis": ("pooled", "labels", lambda a: a[None]),
    "counts as shares": ("pooled", "counts", lambda a: a.astype(np.float64)),
    "counts below 0": ("pooled", "counts", lambda a: a + np.array([-200, 200, 0], np.int16)),
    "counts of nothing": ("pooled", "counts", lambda a: a[:0]),
    "hits as numbers with a point": ("sequential", "look_hits", lambda a: a.astype(np.float32)),
    "levels with a point": ("adaptive", "levels", lambda a: a.astype(np.float64)),
    "radii of 32 bits": ("map", "radius", lambda a: a.astype(np.float32)),
    "radii not a number": ("map", "radius", lambda a: np.where(a > 0, a, np.nan)),
    "radii below 0": ("map", "radius", lambda a: np.where(a > 0, a, -1.0)),
    "choosing votes without a record": ("pooled", "selection_counts", lambda a: np.ones(1, int)),
    "looks without a record": ("pooled", "look_hits", lambda a: np.ones((1, 2, 3), int)),
    "candidates of no use": ("pooled", "candidates", lambda a: np.ones((2, 3), int)),
    "another array": ("pooled", "notes", lambda a: np.ones(3)),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays_that_no_run_writes(case: str, tmp_path: Path) -> None:
    name, array, change = ARRAYS[case]
    parts = CERTIFICATES[name]
    arrays = {**parts.arrays, array: change(parts.arrays.get(array))}
    assert refusal(Parts(parts.text, arrays), tmp_path / "a")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(max_examples=60)
@given(data=st.data())
def test_whatever_is_taken_is_what_save_writes(data: st.DataObject, tmp_path_factory: Any) -> None:
    """Any value in any place, or any stroke of the pen: one line, or the very file of a claim that
    its counts carry."""
    parts = CERTIFICATES[data.draw(st.sampled_from(sorted(CERTIFICATES)))]
    if data.draw(st.booleans()):
        place = data.draw(st.sampled_from([place for place, _ in leaves(parts.meta)]))
        parts = put(parts, place, data.draw(JSON))
    else:
        begin = data.draw(st.integers(0, len(parts.text)))
        end = begin + data.draw(st.integers(0, 3))
        ink = data.draw(st.text(string.printable, max_size=4))
        parts = Parts(parts.text[:begin] + ink + parts.text[end:], parts.arrays)
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    if refusal(parts, path):
        return
    taken = storage.parse(storage.read(path), path)
    again = Parts.of(taken.certificate)
    mine, written = parts.meta, again.meta
    if taken.certificate.version != cs.__version__:
        del mine["statement"], written["statement"]
    assert mine == written
    assert {name: array.tobytes() for name, array in again.arrays.items()} == {
        name: array.tobytes() for name, array in parts.arrays.items()
    }


# The container: the same members, packed so that two readers may find two things.


def content() -> bytes:
    return CERTIFICATES["pooled"].content()


def members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content())) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(items: list[tuple[str, bytes]], comment: bytes = b"", method: int = 8) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in items:
            file.writestr(name, data)
        file.comment = comment
    return buffer.getvalue()


def patched(name: str, field: int, form: str, change: Any, central: bool = False) -> bytes:
    """A field of a member's local header, or of its line in the directory, made another."""
    whole = bytearray(packed(list(members().items())))
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as file:
        start = file.getinfo(name).header_offset
    if central:
        start = whole.index(name.encode(), start + 60) - 46
        assert whole[start : start + 4] == b"PK\1\2"
    (old,) = struct.unpack_from(form, whole, start + field)
    struct.pack_into(form, whole, start + field, change(old))
    return bytes(whole)


def ended(field: int, form: str, change: Any) -> bytes:
    """A field of the record behind the directory made another."""
    whole = bytearray(content())
    (old,) = struct.unpack_from(form, whole, len(whole) - 22 + field)
    struct.pack_into(form, whole, len(whole) - 22 + field, change(old))
    return bytes(whole)


def longer(name: str) -> bytes:
    """Compressed data that goes on after the size in both headers."""
    with zipfile.ZipFile(io.BytesIO(content())) as file:
        size = file.getinfo(name).file_size
    items = [(n, d + b"more" if n == name else d) for n, d in members().items()]
    whole = bytearray(packed(items))
    crc = zlib.crc32(members()[name])
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as file:
        local = file.getinfo(name).header_offset
    central = whole.index(name.encode(), local + 60) - 46
    struct.pack_into("<I", whole, local + 14, crc)
    struct.pack_into("<I", whole, local + 22, size)
    struct.pack_into("<I", whole, central + 16, crc)
    struct.pack_into("<I", whole, central + 24, size)
    return bytes(whole)


def renamed(old: bytes, new: bytes, name: str = "counts.npy") -> list[tuple[str, bytes]]:
    assert old in members()[name]
    return [(n, d.replace(old, new, 1) if n == name else d) for n, d in members().items()]


def twice() -> bytes:
    items = list(members().items())
    with pytest.warns(UserWarning, match="Duplicate"):
        return packed([*items, items[-1]])


CONTAINERS = {
    "a member twice": twice,
    "a file beside the arrays": lambda: packed([*members().items(), ("readme.txt", b"x")]),
    "bytes before": lambda: b"MZ" + content(),
    "bytes after": lambda: content() + b"PK",
    "a comment": lambda: packed(list(members().items()), b"see also"),
    "local size": lambda: patched("counts.npy", 22, "<I", lambda size: size - 1),
    "local packed size": lambda: patched("counts.npy", 18, "<I", lambda size: size + 1),
    "local checksum": lambda: patched("counts.npy", 14, "<I", lambda crc: crc ^ 1),
    "local method": lambda: patched("counts.npy", 8, "<H", lambda method: 0),
    "local flags": lambda: patched("counts.npy", 6, "<H", lambda flags: 8),
    "local name": lambda: patched("counts.npy", 30, "<B", lambda letter: letter ^ 1),
    "a name with a zero byte": lambda: packed(
        [(n, d) for n, d in members().items() if n != "counts.npy"]
        + [("counts.npy_x", members()["counts.npy"])]
    ).replace(b"counts.npy_x", b"counts.npy\0x"),
    "listed size": lambda: patched("counts.npy", 24, "<I", lambda size: size + 1, central=True),
    "listed method": lambda: patched("counts.npy", 10, "<H", lambda method: 12, central=True),
    "listed flags": lambda: patched("counts.npy", 8, "<H", lambda flags: 1, central=True),
    "a directory of fewer members": lambda: ended(10, "<H", lambda number: number - 1),
    "a directory elsewhere": lambda: ended(16, "<I", lambda start: start - 1),
    "a directory of another size": lambda: ended(12, "<I", lambda size: size - 1),
    "data that go on": lambda: longer("counts.npy"),
    "an array that goes on": lambda: packed(
        [(n, d + b"\0" if n == "counts.npy" else d) for n, d in members().items()]
    ),
    "an array cut short": lambda: packed(
        [(n, d[:-1] if n == "counts.npy" else d) for n, d in members().items()]
    ),
    "a header that says a thing twice": lambda: packed(
        renamed(b"'shape': (2, 3, 3), }          ", b"'shape': (2, 3, 3), 'shape': (2,)}")
    ),
    "a side with a nought before it": lambda: packed(renamed(b"(2, 3, 3), } ", b"(2, 3, 03), }")),
    "a shape beyond memory": lambda: packed(renamed(b"(2, 3, 3), }      ", b"(9999999, 3, 3), }")),
    "packed in another way": lambda: packed(list(members().items()), method=zipfile.ZIP_BZIP2),
}


@pytest.mark.parametrize("case", CONTAINERS)
def test_a_container_has_one_reading(case: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTAINERS[case]())
    with pytest.raises(cs.InputError, match="expected a whole") as info:
        cs.Certificate.load(tmp_path / "a")
    assert len(str(info.value).splitlines()) == 1


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_plain_containers_are_read(method: int, tmp_path: Path) -> None:
    """Negative control: packed by zipfile rather than NumPy, without its sizes of 64 bits."""
    (tmp_path / "a").write_bytes(packed(list(members().items()), method=method))
    cs.verify(cs.Certificate.load(tmp_path / "a"))


def test_members_beyond_the_sizes_of_a_plain_zip_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """As zipfile lists what unpacks to more than 2 GiB; here the bound is soon reached."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 2000)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=np.zeros(10_000))
    assert zipfile.ZipFile(buffer).getinfo("values.npy").extra
    assert not archive.read_arrays(buffer.getvalue())["values"].any()


def test_what_could_not_be_read_again_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LARGEST", 1000)
    with pytest.raises(cs.InputError, match="in parts"):
        storage.content_of(certificates()["pooled"])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i4", "<f8"])
def test_arrays_are_those_that_numpy_reads(order: Any, shape: Any, dtype: str) -> None:
    values = np.asarray(np.random.default_rng(1).integers(0, 9, shape), dtype=dtype, order=order)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, values=values)
    (read,) = archive.read_arrays(buffer.getvalue()).values()
    np.testing.assert_array_equal(read, values)
    assert (read.dtype, read.shape, read.flags.f_contiguous) == (
        values.dtype,
        values.shape,
        values.flags.f_contiguous,
    )
    assert read.flags.writeable


def test_the_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked is what is parsed, whoever changes the file meanwhile."""
    path = CERTIFICATES["pooled"].write(tmp_path / "a")
    opened = []
    plain = documents.read_bounded
    monkeypatch.setattr(
        documents, "read_bounded", lambda p, *a: (opened.append(p), plain(p, *a))[1]
    )
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("opened by another way"))
    cs.Certificate.load(path)
    assert opened == [path]
