"""The exit code is that of the work, whatever becomes of the standard streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A command that prints more than a pipe holds, then writes its file.
SCRIPT = """
import sys
from certiseg.cli import main
from certiseg.screen import Screen, remark, say
def app(**_):
    for _ in range(3000):
        say("é中 [/red] " + 30 * "x")
    Screen().print("é中")
    remark("note: é中")
    open("written", "w").close()
    return int(sys.argv[1])
main.app = app
main.main()
"""


def ended(where: Path, redirected: str, code: int = 0, **environment: str) -> tuple[int, str]:
    """Exit code of the command under such redirections, and what it said on standard error."""
    (where / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [
            "bash",
            "-c",
            f'{{ "$0" script.py {code}; echo $? > code; }} {redirected}',
            sys.executable,
        ],
        cwd=where,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
    )
    assert (where / "written").exists()
    (where / "out").write_bytes(done.stdout)
    return int((where / "code").read_text()), done.stderr.decode(errors="replace")


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("redirected", ["| head -1", "2>&1 | true", ">&-", "<&- >&- 2>&-"])
@pytest.mark.slow
def test_nobody_reads(tmp_path: Path, redirected: str, code: int) -> None:
    found, said = ended(tmp_path, redirected, code)
    assert found == code
    assert said.splitlines() in ([], ["note: é中"])


def test_a_full_disk_behind_standard_output_is_said(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    found, said = ended(tmp_path, "> /dev/full")
    assert found == 2
    assert said.splitlines()[-1].startswith(
        "error: expected to read and write files, got No space left on device at standard output"
    )


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [("ascii", b"\\xe9\\u4e2d"), ("latin-1:strict", b"\xe9\\u4e2d"), ("utf-8", "é中".encode())],
)
def test_characters_that_an_encoding_lacks(tmp_path: Path, encoding: str, shown: bytes) -> None:
    assert ended(tmp_path, "", PYTHONIOENCODING=encoding)[0] == 0
    lines = (tmp_path / "out").read_bytes().splitlines()
    assert lines[0].startswith(shown + b" [/red] x")
    assert lines[-1] == shown
