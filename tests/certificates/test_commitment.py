"""Commitments: every thing that was fixed beforehand is compared, and nothing that draws decide."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import certiseg as cs
from certiseg.certificates.commitment import Commitment, commitment_content, fixed, seed_digest
from forged import NOISE, SOURCE, Given, certificates, votes

SEED = SOURCE.seed
METHODS = ("pooled", "split", "sequential", "map")


def written(path: Path, *given: cs.Certificate, seed: int = SEED) -> Commitment:
    path.write_bytes(commitment_content(given, seed))
    return Commitment.read(path)


@pytest.mark.parametrize("name", METHODS)
def test_what_was_committed_passes_whatever_was_drawn(name: str, tmp_path: Path) -> None:
    certificate = certificates()[name]
    commitment = written(tmp_path / "c.json", certificate)
    counts = certificate.votes.counts[..., ::-1]
    drawn = replace(certificate, votes=replace(certificate.votes, counts=counts), cutoff=None)
    commitment.check(certificate)
    commitment.check(replace(drawn, labels=np.full((2, 3), -1, np.int16)))


def _source(certificate: cs.Certificate, **changes: object) -> cs.Certificate:
    source = replace(certificate.votes.source, **changes)
    return replace(certificate, votes=replace(certificate.votes, source=source))


POOLED = certificates()["pooled"]
TREE = cs.Hierarchy("other", ("road", "path", "sky"), ("ground",), (3, 3, -1, -1))
OTHERS = {
    "tau": cs.certify(votes(0, 120), noise=NOISE, tau=0.9),
    "alpha": cs.certify(votes(0, 120), noise=NOISE, alpha=0.01),
    "correction": cs.certify(votes(0, 120), noise=NOISE, correction="bonferroni"),
    "draws": cs.certify(votes(0, 150), noise=NOISE),
    "draws ": cs.certify(votes(5, 125), noise=NOISE),
    "method": cs.radius_map(votes(0, 120), noise=NOISE),
    "selection": cs.certify(votes(10, 130), noise=NOISE, selection_votes=votes(0, 10)),
    "version": replace(POOLED, version="0.0.9"),
    "noise": replace(POOLED, noise=cs.Gaussian(0.5)),
    "budget": replace(POOLED, budget=3),
    "hierarchy": replace(POOLED, hierarchy=TREE),
    "model": _source(POOLED, model="ef" * 32),
    "model_name": _source(POOLED, model_name="Other"),
    "input_shape": _source(POOLED, input_shape=(3, 3, 2)),
    "value_range": _source(POOLED, value_range=None),
    "key": _source(POOLED, key="another"),
    "not_covered": _source(POOLED, not_covered=()),
    "code": _source(POOLED, code={"models.py": "ab" * 32}),
    "engine": _source(POOLED, engine={"device": "cuda"}),
    "windows": _source(POOLED, windows=(2, 2, 1)),
    "parameters": replace(POOLED, parameters={"more": 1}),
    "which is not among": _source(POOLED, input="ef" * 32),
    "another seed": _source(POOLED, seed=7),
    "randomness of the model's own": _source(POOLED, own_randomness=True),
    "method ": cs.sequential(Given(), noise=NOISE, num_samples=120),
}


@pytest.mark.parametrize("what", OTHERS)
def test_anything_else_is_named(what: str, tmp_path: Path) -> None:
    commitment = written(tmp_path / "c.json", POOLED)
    with pytest.raises(cs.ClaimError, match=f"committed to, got.*{what.strip()}") as info:
        commitment.check(OTHERS[what])
    assert len(str(info.value).splitlines()) == 1


def test_cutoffs_of_regions_are_fixed(tmp_path: Path) -> None:
    """Chosen by the counts they would break theory T16."""
    spread, chosen = (
        cs.regions(votes(0, 120), noise=NOISE, cutoffs=cutoffs) for cutoffs in ("spread", [111])
    )
    commitment = written(tmp_path / "c.json", spread)
    commitment.check(spread)
    with pytest.raises(cs.ClaimError, match="parameters"):
        commitment.check(chosen)


def test_another_plan_of_looks(tmp_path: Path) -> None:
    commitment = written(tmp_path / "c.json", certificates()["sequential"])
    for other in (
        cs.sequential(Given(), noise=NOISE, num_samples=200, looks=2),
        cs.sequential(Given(), noise=NOISE, num_samples=200, spending="equal"),
        cs.sequential(Given(), noise=NOISE, num_samples=200, spending="e-process"),
        cs.sequential(Given(), noise=NOISE, num_samples=300),
    ):
        with pytest.raises(cs.ClaimError, match=r"got (looks|draws)"):
            commitment.check(other)


def test_every_field_is_compared(tmp_path: Path) -> None:
    """Whatever ``fixed`` holds, now or later: another value in the file is another commitment."""
    path = tmp_path / "c.json"
    entry = fixed(POOLED)
    for name in entry:
        record = json.loads(commitment_content([POOLED], SEED))
        for other in ({**entry, name: "other"}, {k: v for k, v in entry.items() if k != name}):
            record["certificates"] = [other]
            path.write_text(json.dumps(record))
            with pytest.raises((cs.ClaimError, cs.InputError)):
                Commitment.read(path).check(POOLED)
    record["certificates"] = [{**entry, "more": None}]
    path.write_text(json.dumps(record))
    with pytest.raises(cs.ClaimError, match="more"):
        Commitment.read(path).check(POOLED)


def test_what_does_not_say_all_of_it_cannot_be_shown(tmp_path: Path) -> None:
    commitment = written(tmp_path / "c.json", POOLED)
    anonymous = replace(POOLED, votes=replace(POOLED.votes, source=None))
    for other in (anonymous, certificates()["adaptive"]):
        with pytest.raises(cs.ClaimError, match="expected"):
            commitment.check(other)
        with pytest.raises(cs.InputError, match="fix"):
            fixed(other)


def test_the_seed_is_hidden_and_bound(tmp_path: Path) -> None:
    content = commitment_content([POOLED], SEED)
    assert str(SEED).encode() not in content
    assert f"{SEED:x}".encode() not in content
    plain = hashlib.sha256(SEED.to_bytes(16, "big")).hexdigest()
    assert seed_digest(SEED) not in (plain, seed_digest(SEED - 1))


def test_a_challenge_sets_the_seed(tmp_path: Path) -> None:
    """It depends on every byte of the commitment and of the challenge."""
    commitment = written(tmp_path / "c.json", POOLED)
    seed = commitment.challenged("lottery of 1 May: 3 14 15")
    drawn = _source(POOLED, seed=seed)
    commitment.check(drawn, "lottery of 1 May: 3 14 15")
    for challenge in ("lottery of 1 May: 3 14 16", "", None):
        with pytest.raises(cs.ClaimError, match="another seed"):
            commitment.check(drawn, challenge)
    other = written(tmp_path / "d.json", POOLED, seed=SEED + 1)
    assert other.challenged("lottery of 1 May: 3 14 15") != seed


RECORD = json.loads(commitment_content([POOLED], SEED))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        json.dumps({**RECORD, "more": 1}),
        json.dumps({**RECORD, "seed_digest": "00"}),
        json.dumps({**RECORD, "certificates": []}),
        json.dumps({**RECORD, "certificates": [{}]}),
        json.dumps({**RECORD, "certificates": RECORD["certificates"] * 2}),
        json.dumps(RECORD)[:-1] + ', "format": "certiseg-commitment-1"}',
    ],
)
def test_files_that_are_none(text: str, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(cs.InputError, match=r"expected a commitment at .*plan --commit"):
        Commitment.read(tmp_path / "c.json")


def test_one_input_has_one_commitment() -> None:
    """Whoever commits to three values of tau could show the best."""
    with pytest.raises(cs.InputError, match="one twice"):
        commitment_content([POOLED, OTHERS["tau"]], SEED)
