"""Writing whole files that stay: power loss, full and vanishing disks, names."""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, check_names, make_folder


def test_folder_is_synced_after_the_name_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Order: content, name, folder; of new folders their parents."""
    synced: list[tuple[str, bool]] = []
    real = os.fsync

    def fsync(handle: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        synced.append((kind, (tmp_path / "a").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic_write(tmp_path / "a", b"x")
    assert synced == [("file", False), ("folder", True)]
    synced.clear()
    make_folder(tmp_path / "b" / "c")
    make_folder(tmp_path / "b" / "c")
    assert [kind for kind, _ in synced] == ["folder", "folder"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO])
def test_file_systems_that_cannot_sync_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real = os.fsync

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    if code == errno.EINVAL:
        atomic_write(tmp_path / "a", b"x")
    else:  # the disk is broken, and says so
        with pytest.raises(OSError, match=r"Input/output error.*/a'"):
            atomic_write(tmp_path / "a", b"x")


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.ESTALE, errno.EROFS, errno.EDQUOT])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, step: str
) -> None:
    """Also where not even the unfinished file can be removed: the first error is told."""
    atomic_write(tmp_path / "a", b"old")

    def fail(*_: object) -> None:
        raise OSError(code, os.strerror(code), "a temporary name")

    with monkeypatch.context() as broken:
        broken.setattr(os, step, fail)
        broken.setattr(os, "unlink", fail)
        with pytest.raises(OSError, match=re.escape(os.strerror(code))) as caught:
            atomic_write(tmp_path / "a", b"new")
    assert (caught.value.errno, caught.value.filename) == (code, str(tmp_path / "a"))
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB, where this process may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk: Path) -> None:
    atomic_write(small_disk / "a", b"a" * 100_000)
    with pytest.raises(OSError, match="No space left") as caught:
        atomic_write(small_disk / "a", b"b" * 200_000)
    assert caught.value.filename == str(small_disk / "a")
    assert [path.name for path in small_disk.iterdir()] == ["a"]
    assert (small_disk / "a").read_bytes() == b"a" * 100_000


@pytest.mark.parametrize("made", [True, False])
def test_names_are_checked_before_anything_is_written(tmp_path: Path, made: bool) -> None:
    out = tmp_path / "out"
    if made:
        out.mkdir()
    longest = "n" * os.pathconf(tmp_path, "PC_NAME_MAX")
    check_names(out, ["a", longest])
    with pytest.raises(InputError, match="name too long"):
        check_names(out, ["a", longest + "n"])
    assert out.exists() == made


def test_the_longest_name_is_written(tmp_path: Path) -> None:
    name = "é" * (os.pathconf(tmp_path, "PC_NAME_MAX") // 2)
    atomic_write(tmp_path / name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == [name]
