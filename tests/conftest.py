"""Shared by all tests: the exact oracles, quiet Hypothesis, threads that wait quietly."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer.main
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# Read when torch is loaded, here and in the processes that tests start. Threads that wait for
# work in a loop take the cores from the other test process: ten times the seconds.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Hundreds of calls of the command line in one process: its parser is built for the first, not
# for each.
typer.main.get_command = functools.cache(typer.main.get_command)

# No test survives a loss of power, so none waits for the disk.
os.fsync = lambda handle: None

# Timings differ between machines; examples are the same in every run.
settings.register_profile("certiseg", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("quick", settings.get_profile("certiseg"), max_examples=15)
settings.load_profile("certiseg")


@pytest.fixture
def short_study(monkeypatch: pytest.MonkeyPatch) -> None:
    """`study synthetic` at the first two points of each sweep."""
    from certiseg.runs import study

    for name in ("over_noise", "over_size"):
        whole = getattr(study, name)(True)
        monkeypatch.setattr(study, name, lambda quick, s=whole: replace(s, toys=s.toys[:2]))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets; tests that need it say so and skip where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    root = Path(os.environ.get("CERTISEG_DATA", default))
    if not root.is_dir():
        pytest.skip("real data not here; set CERTISEG_DATA to the folder that holds camvid/")
    return root
