"""A user's own clouds: all forms read to the same points, faults in one line with their place."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.cloud_file import FEWEST_POINTS, read_cloud
from certiseg.datasets.cloud_table import stated_columns
from certiseg.errors import InputError


def rows(count: int = 50, columns: int = 6) -> np.ndarray:
    rng = np.random.default_rng(columns)
    table = rng.normal(size=(count, 7))
    table[:, 3:6] /= np.linalg.norm(table[:, 3:6], axis=1, keepdims=True)
    table[:, 6] = 47
    return table[:, :columns].round(6)


def text(path: Path, table: np.ndarray, separator: str = " ") -> Path:
    np.savetxt(path, table, fmt="%.6f", delimiter=separator)
    return path


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", "])
@pytest.mark.parametrize("suffix", ["txt", "xyz", "pts", "csv", "XYZ"])
def test_text_in_all_forms(tmp_path: Path, suffix: str, separator: str) -> None:
    found = read_cloud(text(tmp_path / f"a.{suffix}", rows(), separator), 6)
    np.testing.assert_array_equal(found.x, rows().T.astype(np.float32))
    assert found.x.dtype == np.float32
    assert (len(found.columns), found.points, found.normalised) == (6, 50, False)


@pytest.mark.parametrize("columns", [3, 6, 7])
def test_the_first_columns_are_taken(tmp_path: Path, columns: int) -> None:
    path = text(tmp_path / "a.txt", rows(columns=columns))
    found = read_cloud(path, 3)
    np.testing.assert_array_equal(found.x, rows(columns=columns)[:, :3].T.astype(np.float32))
    assert len(found.columns) == columns
    if columns == 7:
        np.testing.assert_array_equal(
            read_cloud(path, 6).x, rows(columns=7)[:, :6].T.astype(np.float32)
        )


@pytest.mark.parametrize("columns", [3, 6])
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8"])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("order", "CF")
def test_npy_either_way_round(
    tmp_path: Path, columns: int, dtype: str, transposed: bool, order: str
) -> None:
    table = rows(columns=columns).astype(dtype)
    np.save(tmp_path / "a.npy", np.array(table.T if transposed else table, order=order))
    found = read_cloud(tmp_path / "a.npy", columns)
    np.testing.assert_array_equal(found.x, table.T.astype(np.float32))
    assert found.x.flags.c_contiguous


def test_normalised_over_the_whole_file_then_resampled(tmp_path: Path) -> None:
    table = rows() * ([3.0] * 3 + [1.0] * 3) + ([10.0, 20.0, 30.0] + [0.0] * 3)
    path = text(tmp_path / "a.txt", table)
    found = read_cloud(path, 6, normalise=True)
    places = table[:, :3] - table[:, :3].mean(axis=0)
    reach = np.linalg.norm(places, axis=1).max()
    np.testing.assert_allclose(found.x[:3].T, places / reach, atol=1e-6)
    np.testing.assert_allclose(found.x[3:].T, table[:, 3:], atol=1e-6)
    np.testing.assert_allclose(found.centre, table[:, :3].mean(axis=0))
    assert found.reach == pytest.approx(reach)
    assert found.normalised
    for points in (20, 50, 120):
        few = read_cloud(path, 6, normalise=True, points=points)
        assert few.x.shape == (6, points)
        occurs = np.unique(few.x.T, axis=0, return_counts=True)[1]
        assert len(occurs) == min(points, 50)
        assert occurs.max() - occurs.min() <= 1
        assert {tuple(p) for p in few.x.T} <= {tuple(p) for p in found.x.T}


def test_coordinates_far_away_are_refused_unless_normalised(tmp_path: Path) -> None:
    """In single precision 4.5 million metres are known to half a metre."""
    path = text(tmp_path / "utm.xyz", rows(columns=3) + np.array([5e5, 4.5e6, 0]))
    with pytest.raises(InputError, match=r"single precision.*--normalise"):
        read_cloud(path)
    near = text(tmp_path / "near.xyz", rows(columns=3))
    np.testing.assert_allclose(
        read_cloud(path, normalise=True).x, read_cloud(near, normalise=True).x, atol=1e-6
    )


def lines(path: Path, *changes: tuple[int, str]) -> None:
    held = path.read_text().splitlines()
    for line, content in changes:
        held[line - 1] = content
    path.write_text("\n".join(held) + "\n")


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "nan": (lambda p: lines(p, (7, "0 0 nan 0 0 1")), "line 7: expected finite numbers"),
    "infinite": (lambda p: lines(p, (50, "0 inf 0 0 0 1")), "line 50: expected finite numbers"),
    "a word": (lambda p: lines(p, (3, "0 0 zero 0 0 1")), "line 3: expected finite numbers"),
    "underscore": (lambda p: lines(p, (3, "1_0 0 0 0 0 1")), "line 3: expected finite numbers"),
    "header of two": (lambda p: lines(p, (1, "x y")), "line 1: expected 3 columns, x y z, or mo"),
    "header with a number": (lambda p: lines(p, (1, "x y z 1 2 3")), "line 1: expected finite"),
    "header of others": (lambda p: lines(p, (1, "a b c d e f")), "columns x, y and z .*got a b c"),
    "header of one twice": (lambda p: lines(p, (1, "x y z x nx ny")), "no such column twice"),
    "header too short": (lambda p: lines(p, (1, "x y z")), "line 2: expected 3 .*header .*got 6"),
    "header below": (lambda p: lines(p, (3, "x y z nx ny nz")), "line 3: expected finite numbers"),
    "two headers": (lambda p: lines(p, (1, "x y z"), (2, "x y z")), "line 2: expected finite"),
    "count too high": (lambda p: lines(p, (1, "50")), r"expected 50 points, as it says.*got 49"),
    "two counts": (lambda p: lines(p, (1, "48"), (2, "48")), "line 2: expected 3 columns.*got 1"),
    "four columns": (lambda p: text(p, rows()[:, :4]), r"3, 6 or 7 .*got 4 .*--columns x,y,z,-"),
    "five columns": (lambda p: text(p, rows()[:, :5]), r"3, 6 or 7 .*got 5 .*--columns x,y,z,-,-"),
    "ragged": (lambda p: lines(p, (9, "0 0 0")), r"line 9: expected 6 .*as in line 1, got 3"),
    "other separator": (lambda p: lines(p, (9, "0,0,0,0,0,1")), r"line 9: expected 6.*got 1"),
    "decimal comma": (lambda p: p.write_text("0,1 0,2 0,3\n" * 50), r"line 1: expected finite"),
    "and semicolon": (lambda p: p.write_text("0,1;0,2;0,3\n" * 50), r"line 1: expected finite"),
    "empty column": (lambda p: p.write_text("1,,2,3\n" * 50), r"line 1: expected finite"),
    "empty": (lambda p: p.write_text(""), "empty file"),
    "few": (lambda p: text(p, rows(FEWEST_POINTS - 1)), f"at least {FEWEST_POINTS} points, got 31"),
    "one place": (lambda p: p.write_text("1 2 3 0 0 1\n" * 50), "some extent"),
    "bytes": (lambda p: p.write_bytes(b"0 0 0 0 0 1\n\xff\xfe"), "line 2: expected plain text"),
    "missing": (lambda p: p.unlink(), "No such file"),
    "no normals": (lambda p: text(p, rows(columns=3)), "expected the columns x y z nx.*got x y z;"),
    "colours": (lambda p: lines(p, (5, "0 0 0 255 128 0")), r"line 5: expected a normal.*got len"),
    "huge": (lambda p: lines(p, (5, "1e60 0 0 0 0 1")), "single precision"),
    "beyond": (lambda p: lines(p, (5, "1e300 0 0 0 0 1")), "single precision"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_text_file_is_one_line_with_its_place(tmp_path: Path, fault: str) -> None:
    path = text(tmp_path / "cloud.txt", rows())
    assert read_cloud(path, 6).x.shape == (6, 50)
    damage, words = FAULTS[fault]
    damage(path)
    with pytest.raises(InputError, match=words) as caught:
        read_cloud(path, 6)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def npy(array: np.ndarray, pickle: bool = False) -> bytes:
    held = io.BytesIO()
    np.save(held, array, allow_pickle=pickle)
    return held.getvalue()


def archive(table: np.ndarray) -> bytes:
    held = io.BytesIO()
    np.savez(held, table)
    return held.getvalue()


def spoilt(table: np.ndarray, point: int, value: float) -> np.ndarray:
    table[point, 1] = value
    return table


BAD_ARRAYS = {
    "pickled": (npy(np.array([{}] * 50, dtype=object), pickle=True), "Object arrays"),
    "a pickle": (b"\x80\x04]\x94.", "npy file of numbers"),
    "archive": (archive(rows()), "npy file of numbers"),
    "cut short": (npy(rows())[:-9], "npy file of numbers"),
    "no header": (npy(rows())[:40], "npy file of numbers"),
    "empty": (b"", "npy file of numbers"),
    "text": (b"0 0 0\n", "npy file of numbers"),
    "integers": (npy(rows().astype(int)), "float array.*int64"),
    "complex": (npy(rows().astype(complex)), "float array.*complex"),
    "a batch": (npy(rows()[None]), r"float array.*\(1, 50, 6\)"),
    "flat": (npy(rows().ravel()), r"float array.*\(300,\)"),
    "four columns": (npy(rows()[:, :4]), r"float array.*\(50, 4\)"),
    "square": (npy(rows(6)), "at least 32 points, got 6"),
    "three of six": (npy(rows(3)), "at least 32 points, got 3"),
    "nan": (npy(spoilt(rows(), 7, np.nan)), "point 7: expected finite"),
    "infinite": (npy(spoilt(rows(), 49, -np.inf).T), "point 49: expected finite"),
    "no normals": (npy(rows()[:, :3]), "expected the columns x y z nx ny nz.*got x y z;"),
    "colours": (npy(rows() * ([1.0] * 3 + [9.0] * 3)), "point 0: expected a normal"),
}


@pytest.mark.parametrize("fault", BAD_ARRAYS)
def test_a_fault_of_an_npy_file_is_one_line(tmp_path: Path, fault: str) -> None:
    content, words = BAD_ARRAYS[fault]
    path = tmp_path / "cloud.npy"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_cloud(path, 6)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_header_that_promises_too_much(tmp_path: Path) -> None:
    whole = npy(rows(columns=3))
    path = tmp_path / "cloud.npy"
    path.write_bytes(whole.replace(b"(50, 3), }" + b" " * 14, b"(50000000000000, 3), }  "))
    assert path.read_bytes() != whole
    with pytest.raises(InputError, match="npy file of numbers"):
        read_cloud(path)


def test_points_of_at_least_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="points of at least 1, got 0"):
        read_cloud(text(tmp_path / "a.txt", rows()), points=0)


TABLE = rows(columns=7)
FORMS = {
    "header": ("x,y,z\n", TABLE[:, :3], ",", 3),
    "header in another order": ("label;z;y;x\n", TABLE[:, [6, 2, 1, 0]], ";", 3),
    "header after a mark": ("//X Y Z R G B\n50\n", TABLE[:, :6], " ", 3),
    "header with normals": (
        'x\ty\tz\tintensity\t"Normal_X"\tnormaly\tnz\n',
        TABLE[:, [0, 1, 2, 6, 3, 4, 5]],
        "\t",
        6,
    ),
    "count": ("50\n", TABLE[:, :3], " ", 3),
    "count and header": ("50\n# x y z label\n", TABLE[:, [0, 1, 2, 6]], " ", 3),
    "byte order mark": ("\ufeff", TABLE[:, :3], " ", 3),
    "mark and header": ("\ufeffx;y;z\n\n", TABLE[:, :3], ";", 3),
}


@pytest.mark.parametrize("ending", ["", "trailing", "windows"])
@pytest.mark.parametrize("form", FORMS)
def test_what_stands_before_the_points(tmp_path: Path, form: str, ending: str) -> None:
    before, table, separator, channels = FORMS[form]
    lines = [separator.join(f"{value:.6f}" for value in row) for row in table]
    after = {"": "\n", "trailing": f"{separator}\n", "windows": "\r\n"}[ending]
    path = tmp_path / "a.csv"
    path.write_bytes((before + after.join(lines) + after).encode())
    found = read_cloud(path, channels)
    np.testing.assert_array_equal(found.x, TABLE[:, :channels].T.astype(np.float32))
    assert len(found.columns) == table.shape[1]


def test_columns_as_stated(tmp_path: Path) -> None:
    """Of four columns nobody can know what the last is; where it is said, it is recorded."""
    path = text(tmp_path / "a.txt", TABLE[:, [6, 0, 1, 2]])
    with pytest.raises(InputError, match=r"got 4 without; say what .*\(--columns x,y,z,-\)"):
        read_cloud(path)
    found = read_cloud(path, columns=("label", "x", "y", "z"))
    np.testing.assert_array_equal(found.x, TABLE[:, :3].T.astype(np.float32))
    assert found.columns == ("label", "x", "y", "z")
    wide = text(tmp_path / "b.txt", TABLE[:, [0, 1, 2, 6, 6, 3, 4, 5]])
    stated = ("x", "y", "z", "-", "-", "nx", "ny", "nz")
    np.testing.assert_array_equal(
        read_cloud(wide, 6, columns=stated).x, TABLE[:, :6].T.astype(np.float32)
    )
    np.save(tmp_path / "c.npy", TABLE[:, [0, 1, 2, 6]])
    assert read_cloud(tmp_path / "c.npy", columns=("x", "y", "z", "-")).x.shape == (3, 50)
    for wrong, word in (
        (("x", "y", "z"), "a name for each of its 4 columns"),
        (("x", "y", "z", "x"), "no such column twice"),
        (("x", "y", "-", "-"), "columns x, y and z"),
    ):
        with pytest.raises(InputError, match=word):
            read_cloud(path, columns=wrong)
    named = tmp_path / "d.txt"
    named.write_text("y x z s\n" + path.read_text())
    with pytest.raises(InputError, match="column 1 as the file names it, y, got x"):
        read_cloud(named, columns=("x", "y", "z", "-"))
    assert read_cloud(named, columns=("y", "x", "z", "-")).columns == ("y", "x", "z", "-")


def test_columns_in_words() -> None:
    assert stated_columns(None) is None
    assert stated_columns("X, y,z,-,label") == ("x", "y", "z", "-", "label")
    for wrong in ("", "x,y", "x y z", "x,y,z,", "x,y,z,1"):
        with pytest.raises(InputError, match="--columns as the names of all columns"):
            stated_columns(wrong)


def test_npz_of_one_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, cloud=TABLE[:, :3])
    np.testing.assert_array_equal(read_cloud(path).x, TABLE[:, :3].T.astype(np.float32))
    np.savez(path, a=TABLE, b=TABLE)
    with pytest.raises(InputError, match=r"one array, got 2 \(a, b\)"):
        read_cloud(path)
    np.savez(path, np.array([{}] * 40, dtype=object))
    with pytest.raises(InputError, match="Object arrays"):
        read_cloud(path)
    for content in (b"", b"PK\3\4", npy(TABLE)):
        path.write_bytes(content)
        with pytest.raises(InputError, match="expected an npz file of numbers") as caught:
            read_cloud(path)
        assert "\n" not in str(caught.value)


def ply(table: np.ndarray, *, binary: bool = True, names: str = "x y z nx ny nz s") -> bytes:
    plyfile = pytest.importorskip("plyfile")
    kinds = [(name, "f8") for name in names.split()]
    vertices = np.array([tuple(row) for row in table], dtype=kinds)
    faces = np.array([([0, 1, 2],)], dtype=[("vertex_indices", "i4", (3,))])
    elements = [
        plyfile.PlyElement.describe(vertices, "vertex"),
        plyfile.PlyElement.describe(faces, "face"),
    ]
    held = io.BytesIO()
    plyfile.PlyData(elements, text=not binary).write(held)
    return held.getvalue()


@pytest.mark.parametrize("binary", [True, False])
def test_ply_by_the_names_of_its_properties(tmp_path: Path, binary: bool) -> None:
    path = tmp_path / "a.ply"
    path.write_bytes(ply(TABLE, binary=binary))
    found = read_cloud(path, 6)
    np.testing.assert_array_equal(found.x, TABLE[:, :6].T.astype(np.float32))
    assert found.columns == ("x", "y", "z", "nx", "ny", "nz", "s")


def test_hostile_ply_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.ply"
    whole = ply(TABLE)
    bad = {
        whole.replace(b"vertex 50", b"vertex 5000000000"): "bytes for 5000000000 of vertex",
        whole.replace(b"vertex 50", b"vertex -5"): "bytes for -5 of vertex",
        whole.replace(b"vertex 50", b"vertex 60"): "expected a PLY file",
        whole.replace(b"element vertex", b"element points"): "no vertices",
        whole[:300]: "expected a PLY file",
        b"": "expected a PLY file",
        ply(TABLE, names="a y z nx ny nz s"): "columns x, y and z",
        ply(spoilt(TABLE.copy(), 3, np.nan)): "point 3: expected finite",
    }
    for content, words in bad.items():
        path.write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            read_cloud(path)
        assert "\n" not in str(caught.value)


def las(path: Path, table: np.ndarray) -> bytes:
    laspy = pytest.importorskip("laspy")
    header = laspy.LasHeader(point_format=3, version="1.2")
    header.scales, header.offsets = np.full(3, 1e-6), np.zeros(3)
    made = laspy.LasData(header)
    made.x, made.y, made.z = table[:, :3].T
    made.classification = np.arange(len(table)) % 4
    made.write(path)
    return path.read_bytes()


@pytest.mark.parametrize("ending", ["las", "laz"])
def test_las_with_its_scaling(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    whole = las(path, TABLE)
    found = read_cloud(path)
    np.testing.assert_allclose(found.x, TABLE[:, :3].T, atol=1e-6)
    assert found.columns[:3] == ("x", "y", "z")
    assert "classification" in found.columns
    bad = [b"", b"LASF", whole[:200], whole[: len(whole) - 40], b"0 0 0\n" * 99]
    if ending == "las":
        # Points, and records of variables, that laspy would look for one by one.
        for place in (100, 107):
            bad.append(whole[:place] + np.uint32(2**32 - 1).tobytes() + whole[place + 4 :])
    for content in bad:
        path.write_bytes(content)
        with pytest.raises(InputError, match="expected a LAS or LAZ file") as caught:
            read_cloud(path)
        assert "\n" not in str(caught.value)
