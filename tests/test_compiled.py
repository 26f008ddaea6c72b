"""Compilation of loops: only where Numba is there and may, and nothing written beside the
sources."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

_TRY = """
import sys
from certiseg.compiled import compiled
from certiseg.sampling.noise_loop import rounded_sums
assert "numba" not in sys.modules, "imported before it is used"
loop = compiled(rounded_sums)
if loop is not None:
    import numpy as np
    values = np.zeros(40, np.float32)
    table = np.zeros((2, 2**18), np.float32)
    loop(np.zeros(2, np.uint64), np.uint64(0), 0, 40, *table, values, 0.5, np.float32(0.4),
         np.empty_like(values), np.empty(40, np.intp), np.empty(40, np.int32))
print(loop is not None)
"""


def _is_compiled(**environment: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", _TRY],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
    )
    return done.stdout.split() == ["True"]


@pytest.mark.slow
def test_machine_code_is_kept_in_the_users_cache_alone(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    assert _is_compiled(XDG_CACHE_HOME=str(tmp_path / "cache"), NUMBA_CACHE_DIR="")
    assert any((tmp_path / "cache").rglob("*.nbc"))
    assert not any((ROOT / "src").rglob("*.nb[ci]"))
    assert _is_compiled(NUMBA_CACHE_DIR=str(tmp_path / "asked"))
    assert any((tmp_path / "asked").rglob("*.nbc"))


@pytest.mark.slow
def test_without_a_folder_to_keep_it_in_nothing_is_written(tmp_path: Path) -> None:
    pytest.importorskip("numba")
    (tmp_path / "file").touch()
    assert _is_compiled(XDG_CACHE_HOME=str(tmp_path / "file"), NUMBA_CACHE_DIR="")


def test_nothing_is_compiled_where_numba_is_told_not_to() -> None:
    assert not _is_compiled(NUMBA_DISABLE_JIT="1")


@pytest.mark.slow
def test_nothing_is_compiled_without_a_numba_that_imports(tmp_path: Path) -> None:
    """As it does beside a NumPy that is too new for it."""
    (tmp_path / "numba.py").write_text('raise ImportError("Numba needs NumPy 2.5 or less")')
    assert not _is_compiled(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT / 'src'}")
