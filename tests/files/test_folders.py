"""Output folders: one command at a time, nobody else's files, nothing half-written left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, output_folder, sweep
from certiseg.files.folders import LIST, LOCK, Outputs, locked

HOLDS = """
import sys
from certiseg.files.folders import locked
with locked("out"):
    print("held", flush=True)
    sys.stdin.read()
"""
DEAD = 2**31 - 1
"""A number that no process has."""


@pytest.fixture
def holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another process that holds the folder out."""
    monkeypatch.chdir(tmp_path)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDS], text=True, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_that_another_process_holds_is_refused_until_it_ends(holder) -> None:
    with pytest.raises(InputError) as caught, locked("out"):
        pass
    words = str(caught.value)
    assert f"process {holder.pid} on {os.uname().nodename}" in words
    assert LOCK in words
    assert "\n" not in words
    # Nothing of the holder's is gone.
    assert Path("out", LOCK).exists()
    holder.communicate()
    with locked("out"):
        assert Path("out", LOCK).exists()
    assert not Path("out").exists()


def test_the_lock_of_a_process_that_was_killed_is_taken_over(holder) -> None:
    holder.kill()
    holder.wait()
    assert Path("out", LOCK).exists()
    with locked("out"):
        assert Path("out", LOCK).read_text().startswith(f"{os.getpid()}\n")
    assert not Path("out", LOCK).exists()


@pytest.mark.parametrize(
    ("change", "free"),
    [
        (lambda pid, host, start: (DEAD, host, start), True),
        # The number was given anew: another process, or this machine after it was started again.
        (lambda pid, host, start: (pid, host, int(start) + 1), True),
        (lambda pid, host, start: (pid, host, int(start) ^ 2**64), True),
        (lambda pid, host, start: (pid, host, start), False),
        # Nobody here can know of processes there, or in another name space.
        (lambda pid, host, start: (DEAD, f"{host}-2", start), False),
        (lambda pid, host, start: (DEAD, f"{host}?pidns-f0000001", start), False),
    ],
)
def test_stale_locks_are_told_apart(holder, change, free) -> None:
    """Only proof that its process is no more makes a lock stale."""
    path = Path("out", LOCK)
    path.write_text("".join(f"{line}\n" for line in change(*path.read_text().split())))
    if free:
        with locked("out"):
            pass
    else:
        with pytest.raises(InputError, match="free"), locked("out"):
            pass
        # What the message says to do helps.
        path.unlink()
        with locked("out"):
            pass


def test_threads_exclude_each_other_and_calls_inside_share(tmp_path: Path) -> None:
    refused = []

    def other() -> None:
        try:
            with locked(tmp_path):
                pass
        except InputError as error:
            refused.append(str(error))

    with locked(tmp_path), locked(tmp_path / "." / ""):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert len(refused) == 1
        assert f"process {os.getpid()} on" in refused[0]
    other()
    assert len(refused) == 1


def test_a_folder_made_in_vain_is_removed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "new", ["a.csv"]):
        raise KeyboardInterrupt
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with locked(tmp_path / "old"):
        pass
    assert list((tmp_path / "old").iterdir()) == []


def test_only_what_was_claimed_is_replaced_or_removed(tmp_path: Path) -> None:
    names = ["table.md", "results.json"]
    with locked(tmp_path, names):
        atomic_write(tmp_path / "table.md", b"ours")
    with pytest.raises(InputError, match=r"no earlier results, got .*table\.md; pass --overwrite"):
        Outputs(tmp_path).claim(names, overwrite=False)
    Outputs(tmp_path).claim(names, overwrite=True)
    (tmp_path / "theirs.csv").write_text("theirs")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "dangling.csv").symlink_to("nowhere")
    for name, overwrite in [(n, o) for n in ("theirs", "folder", "dangling") for o in (0, 1)]:
        listed = (tmp_path / LIST).read_text()
        with (
            pytest.raises(InputError, match=rf"{name}\.csv"),
            locked(tmp_path, [f"{name}.csv", "more"], bool(overwrite)),
        ):
            pass
        assert (tmp_path / LIST).read_text() == listed
    Outputs(tmp_path).remove(["table.md", "theirs.csv", "results.json"])
    assert not (tmp_path / "table.md").exists()
    assert (tmp_path / "theirs.csv").read_text() == "theirs"


@pytest.mark.parametrize("text", ["{", "{}", "[1]", "[" * 100_000])
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / LIST).write_text(text)
    with pytest.raises(InputError, match="remove it"), locked(tmp_path, ["a"]):
        pass


def test_symbolic_links_are_no_outputs(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("theirs")
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").symlink_to("real/file")
    with pytest.raises(InputError, match=r"symbolic link .*link; name what it leads to \(real\)"):
        output_folder(tmp_path / "link")
    with pytest.raises(InputError, match="symbolic link"):
        atomic_write(tmp_path / "file", b"ours")
    assert (tmp_path / "file").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "theirs"


def test_only_what_ended_processes_began_is_swept(tmp_path: Path, monkeypatch) -> None:
    """A process is stopped between writing and renaming; what it leaves has a name of ours."""
    monkeypatch.setattr(os, "getpid", lambda: DEAD)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "x.json", b"half")
    monkeypatch.undo()
    (left,) = tmp_path.iterdir()
    live = tmp_path / left.name.replace(str(DEAD), str(os.getpid()))
    kept = {
        live,
        tmp_path / ".certiseg-notes.tmp",
        tmp_path / f".certiseg-{DEAD}-0123456789abcdef.tmp.txt",
        tmp_path / ".x.json.abcd1234",
    }
    for path in kept:
        path.touch()
    sweep(tmp_path)
    assert set(tmp_path.iterdir()) == kept


@pytest.mark.parametrize("content", [b"", b"12"])
@pytest.mark.slow
def test_a_lock_that_names_nobody_is_taken_over(tmp_path: Path, content: bytes) -> None:
    """Its process was killed between making the file and writing its name into it."""
    out = tmp_path / "out"
    out.mkdir()
    (out / LOCK).write_bytes(content)
    with locked(out):
        pass
