"""A user's own clouds: all forms read to the same points, faults in one line with their place."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.cloud_file import FEWEST_POINTS, read_cloud
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
    assert (found.columns, found.points, found.normalised) == (6, 50, False)


@pytest.mark.parametrize("columns", [3, 6, 7])
def test_the_first_columns_are_taken(tmp_path: Path, columns: int) -> None:
    path = text(tmp_path / "a.txt", rows(columns=columns))
    found = read_cloud(path, 3)
    np.testing.assert_array_equal(found.x, rows(columns=columns)[:, :3].T.astype(np.float32))
    assert found.columns == columns
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
    "header": (lambda p: lines(p, (1, "x y z nx ny nz")), "line 1: expected finite numbers"),
    "count first": (lambda p: lines(p, (1, "50")), r"line 1: expected 3, 6 or 7 columns.*got 1"),
    "four columns": (lambda p: text(p, rows()[:, :4]), r"line 1: expected 3, 6 or 7.*got 4"),
    "ragged": (lambda p: lines(p, (9, "0 0 0")), r"line 9: expected 6 columns, x y z nx .*got 3"),
    "other separator": (lambda p: lines(p, (9, "0,0,0,0,0,1")), r"line 9: expected 6.*got 1"),
    "decimal comma": (lambda p: p.write_text("0,1 0,2 0,3\n" * 50), r"line 1: .*got 4"),
    "empty": (lambda p: p.write_text(""), "empty file"),
    "few": (lambda p: text(p, rows(FEWEST_POINTS - 1)), f"at least {FEWEST_POINTS} points, got 31"),
    "one place": (lambda p: p.write_text("1 2 3 0 0 1\n" * 50), "some extent"),
    "bytes": (lambda p: p.write_bytes(b"0 0 0 0 0 1\n\xff\xfe"), "line 2: expected plain text"),
    "missing": (lambda p: p.unlink(), "No such file"),
    "no normals": (lambda p: text(p, rows(columns=3)), "expected 6 columns.*got 3"),
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
    "no normals": (npy(rows()[:, :3]), "expected 6 columns"),
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
