"""`certiseg verify`: intact, truncated and edited certificates."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from certiseg.certificates.certificate import Certificate
from certiseg.certify.radius_map import radius_map
from certiseg.certify.segcertify import certify
from certiseg.noise import Gaussian
from certiseg.votes import VoteCounts

Call = Callable[..., Any]


@pytest.fixture
def intact(tmp_path: Path) -> Path:
    counts = np.zeros((4, 5, 3), dtype=np.uint8)
    counts[..., 1] = 60
    counts[0, :, :] = (30, 30, 0)
    certify(VoteCounts(counts, 60), noise=Gaussian(0.25)).save(tmp_path / "intact.cert.npz")
    return tmp_path / "intact.cert.npz"


def truncated(intact: Path) -> Path:
    cut = intact.with_name("cut.cert.npz")
    cut.write_bytes(intact.read_bytes()[:-40])
    return cut


def relabelled(intact: Path) -> Path:
    """A label the counts do not support, saved with a digest of its own."""
    stored = Certificate.load(intact)
    labels = stored.labels.copy()
    labels[0, 0] = 1
    forged = intact.with_name("forged.cert.npz")
    replace(stored, labels=labels).save(forged)
    return forged


def edited(intact: Path) -> Path:
    """One array replaced inside the file, everything else left as it was."""
    target = intact.with_name("edited.cert.npz")
    with zipfile.ZipFile(intact) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "labels.npy":
                labels = np.load(io.BytesIO(data), allow_pickle=False).copy()
                labels[0, 0] = 1
                buffer = io.BytesIO()
                np.save(buffer, labels, allow_pickle=False)
                data = buffer.getvalue()
            new.writestr(name, data)
    return target


def test_intact(intact: Path, call: Call) -> None:
    done = call("verify", intact)
    assert (done.code, done.err) == (0, "")
    assert f"{intact}: ok: With confidence 99.9%" in done.out


@pytest.mark.parametrize("alter", [relabelled, edited])
def test_altered(intact: Path, call: Call, alter: Callable[[Path], Path]) -> None:
    file = alter(intact)
    done = call("verify", file)
    assert (done.code, done.out) == (1, "")
    assert f"{file}: FAILED: " in done.err
    assert len(done.err.splitlines()) == 1


def test_larger_radius_is_noticed(intact: Path, call: Call) -> None:
    file = intact.with_name("far.cert.npz")
    replace(Certificate.load(intact), radius=0.5).save(file)
    done = call("verify", file)
    assert done.code == 1
    assert "radius" in done.err


def test_truncated_and_missing(intact: Path, call: Call) -> None:
    for file in (truncated(intact), intact.with_name("missing.npz")):
        done = call("verify", file)
        assert (done.code, done.out) == (2, "")
        assert f"{file}: error: expected a" in done.err
        assert len(done.err.splitlines()) == 1


def test_all_files_are_checked_and_a_failed_claim_weighs_most(intact: Path, call: Call) -> None:
    done = call("verify", truncated(intact), relabelled(intact), intact)
    assert done.code == 1
    assert "ok" in done.out
    assert len(done.err.splitlines()) == 2


def test_json(intact: Path, call: Call) -> None:
    done = call("verify", "--json", intact, relabelled(intact), truncated(intact))
    results = [json.loads(line) for line in done.out.splitlines()]
    assert [result["result"] for result in results] == ["ok", "failed", "unreadable"]
    assert done.err == ""
    assert results[0]["radius"] == Gaussian(0.25).radius(0.75)


def test_json_of_a_radius_map(intact: Path, call: Call) -> None:
    """Smallest, median and largest radius of the certified components."""
    stored = Certificate.load(intact)
    mapped = radius_map(stored.votes, noise=stored.noise)
    mapped.save(intact.with_name("map.cert.npz"))
    done = call("verify", "--json", intact.with_name("map.cert.npz"))
    assert done.code == 0, done.err
    held = mapped.radius[mapped.certified]
    assert json.loads(done.out)["radius"] == [held.min(), np.median(held), held.max()]
