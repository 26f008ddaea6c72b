"""Shared by all tests: the exact oracles, quiet Hypothesis, few torch threads."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# Timings differ between machines; examples are the same in every run.
settings.register_profile("certiseg", deadline=None, derandomize=True, max_examples=60)
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
