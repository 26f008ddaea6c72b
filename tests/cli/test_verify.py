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
from cryptography.hazmat.primitives.asymmetric import ed25519

from certiseg.certificates.certificate import Certificate
from certiseg.certifiers.radius_map import radius_map
from certiseg.certifiers.segcertify import certify
from certiseg.noise import Gaussian
from certiseg.votes import VoteCounts
from forged import Parts, pem

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


def test_the_sentence_is_made_anew(intact: Path, call: Call) -> None:
    """Another version's sentence is not compared, so it is not shown either."""
    stored = Parts.of(replace(Certificate.load(intact), version="0.0.9"))
    claim = "Every pixel is safe for ever."
    stored.with_meta({**stored.meta, "statement": claim}).write(intact)
    done = call("verify", intact)
    assert done.code == 0
    assert claim not in done.out + done.err
    assert f"{intact}: ok: With confidence 99.9%" in done.out
    assert "statement recomputed, the stored one differs" in done.err
    assert json.loads(call("verify", "--json", intact).out)["as_stored"] is False


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private key and its public one."""
    key = ed25519.Ed25519PrivateKey.generate()
    for name, half in (("key", key), ("public", key.public_key())):
        (tmp_path / f"{name}.pem").write_bytes(pem(half))
    return tmp_path / "key.pem", tmp_path / "public.pem"


def test_signed(intact: Path, call: Call, keys: tuple[Path, Path]) -> None:
    private, public = keys
    assert call("verify", intact, "--key", public).code == 1
    done = call("sign", intact, "--key", private)
    assert (done.code, done.out) == (0, f"{intact}: signed: {intact}.sig\n")
    done = call("verify", intact, "--key", public)
    assert done.code == 0, done.err
    assert f"{intact}: ok, signed: With confidence" in done.out
    assert json.loads(call("verify", "--json", intact, "--key", public).out)["signed"] is True
    assert call("sign", intact, "--key", private).is_one_line_error("--overwrite")
    assert call("sign", intact, "--key", private, "--overwrite").code == 0


def test_a_signature_left_out_altered_or_of_another_file(
    intact: Path, call: Call, keys: tuple[Path, Path]
) -> None:
    private, public = keys
    call("sign", intact, "--key", private)
    signature = Path(f"{intact}.sig")
    other = truncated(intact)
    for words in ("No such file", "as it was signed"):
        done = call("verify", other, "--key", public)
        assert (done.code, done.out) == (1, "")
        assert words in done.err
        assert len(done.err.splitlines()) == 1
        Path(f"{other}.sig").write_bytes(signature.read_bytes())


def test_what_fails_is_not_signed(intact: Path, call: Call, keys: tuple[Path, Path]) -> None:
    file = relabelled(intact)
    assert call("sign", file, "--key", keys[0]).code == 1
    assert not Path(f"{file}.sig").exists()
    assert call("verify", intact, "--key", keys[0]).is_one_line_error("the other half of a pair")


def test_json_of_a_radius_map(intact: Path, call: Call) -> None:
    """Smallest, median and largest radius of the certified components."""
    stored = Certificate.load(intact)
    mapped = radius_map(stored.votes, noise=stored.noise)
    mapped.save(intact.with_name("map.cert.npz"))
    done = call("verify", "--json", intact.with_name("map.cert.npz"))
    assert done.code == 0, done.err
    held = mapped.radius[mapped.certified]
    assert json.loads(done.out)["radius"] == [held.min(), np.median(held), held.max()]
