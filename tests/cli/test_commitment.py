"""`certiseg plan --commit`, `certify --commitment`, `verify --commitment`: fixed beforehand."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.commitment import Commitment
from certiseg.sampling.sampler import Smoothed

Call = Callable[..., Any]
MODEL = ("--model", "python:tiny_models:by_brightness")
RUN = ("bands.png", *MODEL, "-n", 130)


@pytest.fixture
def committed(workplace: Path, call: Call) -> Path:
    done = call("plan", "--commit", "c.json", *RUN)
    assert done.code == 0, done.err
    digest = Commitment.read(workplace / "c.json").digest
    assert f"c.json: SHA-256 {digest}" in done.out
    return workplace


def certified(call: Call, *options: object) -> Path:
    done = call("certify", *RUN, *options, "-o", "out")
    assert done.code == 0, done.err
    return Path("out/bands.cert.npz")


def test_nothing_is_drawn_and_the_seed_is_kept(committed: Path) -> None:
    assert {p.name for p in committed.glob("*.json*")} == {"c.json", "c.json.secret"}
    assert not (committed / "out").exists()
    seed = json.loads((committed / "c.json.secret").read_text())["seed"]
    assert str(seed) not in (committed / "c.json").read_text()
    assert stat.S_IMODE((committed / "c.json.secret").stat().st_mode) == 0o600


def test_from_commitment_to_verification(committed: Path, call: Call) -> None:
    file = certified(call, "--commitment", "c.json")
    source = Certificate.load(file).votes.source
    assert source is not None
    secret = json.loads((committed / "c.json.secret").read_text())
    assert (source.seed, source.seed_origin) == (secret["seed"], "caller")
    done = call("verify", file, "--commitment", "c.json")
    assert done.code == 0
    assert f"{file}: ok, as committed: With confidence" in done.out
    digest = Commitment.read(committed / "c.json").digest
    assert f"(SHA-256 {digest}) committed to: 1, certificates that hold here: 1" in done.err
    assert "cannot show when it was made" in done.err
    record = json.loads(call("verify", "--json", file, "--commitment", "c.json").out)
    assert record["committed"] == digest


TREE = {
    "name": "three",
    "classes": ["class 0", "class 1", "class 2"],
    "tree": ["class 0", {"others": ["class 1", "class 2"]}],
}
METHODS = (
    ("--radius-map",),
    ("--selection", "split", "--selection-samples", 7),
    ("--target-coverage", "20%", "-n", 200),
    ("--target-coverage", "20%", "-n", 200, "--spending", "e-process"),
    ("--correction", "k-fwer", "--budget", "1%"),
    ("--grid", 3),
    ("--noise", "gaussian", "--hierarchy", "three.json"),
)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method[0])
def test_every_method(workplace: Path, call: Call, method: tuple[object, ...]) -> None:
    """What a rehearsal says of a method is what the method says."""
    (workplace / "three.json").write_text(json.dumps(TREE))
    assert call("plan", "--commit", "c.json", *RUN, *method).code == 0
    file = certified(call, *method, "--commitment", "c.json")
    done = call("verify", file, "--commitment", "c.json")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("option", "named"),
    [
        (("--tau", 0.9), "tau 0.9 instead of 0.75"),
        (("--alpha", 0.01), "alpha 0.01 instead of 0.001"),
        (("-n", 140), "draws [[0, 140]] instead of [[0, 130]]"),
        (("--sigma", 0.3), "noise"),
        (("--precision", "bfloat16"), "engine"),
        (("--radius-map",), "method"),
        (("--scales", 0.5), "model"),
    ],
)
def test_a_run_that_is_another_is_refused_before_it_draws(
    committed: Path, call: Call, option: tuple[object, ...], named: str
) -> None:
    done = call("certify", *RUN, *option, "--commitment", "c.json", "-o", "out")
    assert done.is_one_line_error("expected what c.json committed to, got", named)
    assert not Path("out").exists()


def test_another_picture_is_refused(committed: Path, call: Call) -> None:
    pixels = np.asarray(Image.open("bands.png")).copy()
    pixels[0, 0] += 1
    Image.fromarray(pixels).save("bands.png")
    done = call("certify", *RUN, "--commitment", "c.json", "-o", "out")
    assert done.is_one_line_error("not among those committed to")


def test_a_picture_that_changes_during_the_run_is_noticed(
    committed: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was compared: its certificate is not written, whatever the seed's origin says."""
    plain = Smoothed.certify_with

    def other(smoothed: Any, image: Any, *given: Any, **options: Any) -> Certificate:
        return plain(smoothed, image[..., ::-1].copy(), *given, **options)

    monkeypatch.setattr(Smoothed, "certify_with", other)
    done = call("certify", *RUN, "--commitment", "c.json", "-o", "out")
    assert done.code == 1
    assert "not among those committed to" in done.err
    assert not list(Path("out").glob("*.npz"))


def test_tau_raised_afterwards(committed: Path, call: Call) -> None:
    """What no certificate shows alone: drawn and looked at, then claimed at another tau."""
    file = certified(call, "--commitment", "c.json")
    stored = Certificate.load(file)
    from certiseg.certifiers.segcertify import certify

    certify(stored.votes, noise=stored.noise, tau=0.9).save(file)
    assert call("verify", file).code == 0
    done = call("verify", file, "--commitment", "c.json")
    assert (done.code, done.out) == (1, "")
    assert f"{file}: FAILED: expected what c.json committed to, got tau 0.9" in done.err


def test_draws_under_another_seed(committed: Path, call: Call) -> None:
    done = call("verify", certified(call), "--commitment", "c.json")
    assert done.code == 1
    assert "another seed than the one whose digest it holds" in done.err


def test_a_challenge(committed: Path, call: Call) -> None:
    file = certified(call, "--commitment", "c.json", "--challenge", "from the auditor")
    given = ("verify", file, "--commitment", "c.json")
    assert call(*given, "--challenge", "from the auditor").code == 0
    assert call(*given, "--challenge", "from somebody else").code == 1
    assert call(*given).code == 1


@pytest.mark.parametrize("secret", [None, "{}", '{"format": "certiseg-commitment-secret-1"}', "7"])
def test_secrets_that_are_none(committed: Path, call: Call, secret: str | None) -> None:
    path = committed / "c.json.secret"
    if secret is None:
        path.unlink()
    else:
        path.write_text(secret)
    done = call("certify", *RUN, "--commitment", "c.json", "-o", "out")
    assert done.is_one_line_error("expected the seed of c.json in c.json.secret")


def test_a_secret_of_another_commitment(committed: Path, call: Call) -> None:
    assert call("plan", "--commit", "d.json", *RUN).code == 0
    (committed / "d.json.secret").replace(committed / "c.json.secret")
    done = call("certify", *RUN, "--commitment", "c.json", "-o", "out")
    assert done.is_one_line_error("that of another commitment")


def test_a_commitment_is_never_replaced(committed: Path, call: Call) -> None:
    before = (committed / "c.json.secret").read_bytes()
    assert call("plan", "--commit", "c.json", *RUN).is_one_line_error("c.json, which exists")
    (committed / "c.json").unlink()
    assert call("plan", "--commit", "c.json", *RUN).is_one_line_error("c.json.secret")
    assert (committed / "c.json.secret").read_bytes() == before


ADAPTIVE = ("--hierarchy", "three.json", "--thresholds", "0,0")


def test_options_that_do_not_go_together(workplace: Path, call: Call) -> None:
    Path("three.json").write_text(json.dumps(TREE))
    for options, part in (
        ((), "--out FOLDER to certify or --commit FILE"),
        (("--commit", "c.json", "-o", "out"), "got both"),
        (("--commit", "c.json", "--commitment", "d.json"), "commit first"),
        (("--commit", "c.json", "--seed", 3), "a seed of its own"),
        (("--challenge", "x", "-o", "out"), "expected --commitment with --challenge"),
        (("--commit", "c.json", *ADAPTIVE), "got --thresholds, which choose levels by draws"),
    ):
        assert call("certify", *RUN, *options).is_one_line_error(part), options
    assert call("verify", "a", "--challenge", "x").is_one_line_error("expected --commitment")


def test_the_same_picture_twice(workplace: Path, call: Call) -> None:
    Path("copy.png").write_bytes(Path("bands.png").read_bytes())
    done = call("plan", "copy.png", "--commit=c.json", *RUN)
    assert done.is_one_line_error("twice")
    assert not Path("c.json").exists()
