"""Radius maps, looks, hierarchies and budgets on disk: whole, forged, recomputed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import certiseg as cs
from certiseg.certificates.looks import Looks
from some_votes import made_up_source

NOISE = cs.Gaussian(0.25)
TREE = cs.Hierarchy("tiny", ("road", "path", "sky"), ("ground",), (3, 3, -1, -1))


class Drawn:
    """A VoteSource over made-up probabilities, each component on its own."""

    def __init__(self, probabilities: np.ndarray) -> None:
        self._p, self._rng = probabilities, np.random.default_rng(5)

    def sizes(self) -> tuple[int, int]:
        return self._p.shape[0] * self._p.shape[1], self._p.shape[2]

    def more(self, draws: int) -> cs.VoteCounts:
        return cs.VoteCounts(self._rng.multinomial(draws, self._p), draws)


def _probabilities() -> np.ndarray:
    rng = np.random.default_rng(3)
    top = rng.uniform(0.4, 1.0, (6, 8))
    return np.stack([top, (1 - top) * 0.5, (1 - top) * 0.5], axis=-1)


def _certificates() -> dict[str, cs.Certificate]:
    source = Drawn(_probabilities())
    votes, first = source.more(120), source.more(10)
    options = {"noise": NOISE, "alpha": 0.01}
    levels = np.where(votes.counts.max(-1) > 100, 0, 1)
    sequential = {"num_samples": 200, **options}
    return {
        "budget": cs.certify(votes, correction="k-fwer", budget=0.1, **options),
        "radius map": cs.radius_map(votes, **options),
        "hierarchical": cs.hierarchical(votes, hierarchy=TREE, **options),
        "adaptive": cs.adaptive(
            votes, hierarchy=TREE, selection_votes=first, levels=levels, **options
        ),
        "sequential": cs.sequential(Drawn(_probabilities()), **sequential),
        "e-process": cs.sequential(Drawn(_probabilities()), spending="e-process", **sequential),
        "sequential budget": cs.sequential(Drawn(_probabilities()), budget=3, **sequential),
    }


@pytest.fixture(params=list(_certificates()))
def certificate(request) -> cs.Certificate:
    return _certificates()[request.param]


def test_round_trip(certificate, tmp_path):
    certificate.save(tmp_path / "a.cert.npz")
    again = cs.Certificate.load(tmp_path / "a.cert.npz")
    cs.verify(again)
    assert again.statement() == certificate.statement()
    for name in ("labels", "radius", "levels"):
        assert np.array_equal(getattr(again, name), getattr(certificate, name)), name
    assert (again.budget, again.hierarchy) == (certificate.budget, certificate.hierarchy)
    assert certificate.certified.any()
    assert not certificate.certified.all()


def test_another_label_is_noticed(certificate):
    labels = certificate.labels.copy()
    held = np.argwhere(certificate.certified)[0]
    labels[tuple(held)] = (labels[tuple(held)] + 1) % 3
    with pytest.raises(cs.ClaimError, match="labels of 1 of 48 components"):
        cs.verify(replace(certificate, labels=labels))


def test_an_abstention_turned_into_a_label_is_noticed(certificate):
    labels = certificate.labels.copy()
    labels[tuple(np.argwhere(~certificate.certified)[0])] = 0
    with pytest.raises(cs.ClaimError, match="labels of 1 of 48 components"):
        cs.verify(replace(certificate, labels=labels))


def test_a_smaller_alpha_is_noticed(certificate):
    with pytest.raises(cs.ClaimError):
        cs.verify(replace(certificate, alpha=1e-9))


def test_another_budget_is_noticed(certificate):
    other = None if certificate.budget else 2
    with pytest.raises(cs.ClaimError):
        cs.verify(replace(certificate, budget=other))


def test_a_larger_radius_is_noticed(certificate):
    with pytest.raises(cs.ClaimError, match="expected radi"):
        cs.verify(replace(certificate, radius=np.asarray(certificate.radius) * 1.001 + 0.0))


def test_one_radius_instead_of_a_map_is_noticed():
    mapped = _certificates()["radius map"]
    with pytest.raises(cs.ClaimError, match="expected radii of shape"):
        cs.verify(replace(mapped, radius=float(mapped.radius.max())))


def _looks(**changes) -> cs.Certificate:
    stored = _certificates()["sequential"]
    return replace(stored, looks=replace(stored.looks, **changes))


def test_evidence_of_looks_is_checked_against_the_votes():
    looks = _certificates()["sequential"].looks
    hits = looks.hits.copy()
    hits[-1] = np.maximum(hits[-1] - 1, hits[-2])
    with pytest.raises(cs.ClaimError, match="give no certificate"):
        cs.verify(_looks(hits=hits))
    with pytest.raises(cs.ClaimError, match="give no certificate"):
        cs.verify(_looks(modes=np.ones_like(looks.modes)))


def test_a_reason_to_stop_that_cannot_be_is_refused():
    looks = _certificates()["sequential"].looks
    for stopped in {"budget used", "no component open"} - {looks.stopped}:
        with pytest.raises(cs.InputError, match="looks that agree"):
            replace(looks, stopped=stopped)


def test_looks_that_spend_more_than_alpha_are_refused():
    looks = _certificates()["sequential"].looks
    shares = tuple((trials, 4 * alpha) for trials, alpha in looks.shares)
    taken = tuple(replace(look, alpha=4 * look.alpha) for look in looks.looks)
    with pytest.raises(cs.ClaimError, match="spend at most alpha"):
        cs.verify(_looks(shares=shares, looks=taken))


def test_a_sequential_certificate_without_its_looks_is_none():
    with pytest.raises(cs.ClaimError):
        cs.verify(replace(_certificates()["sequential"], looks=None))
    with pytest.raises(cs.ClaimError):
        cs.verify(replace(_certificates()["hierarchical"], hierarchy=None))
    with pytest.raises(cs.ClaimError):
        cs.verify(replace(_certificates()["adaptive"], levels=None))


def test_records_of_looks_are_typed():
    looks = _certificates()["sequential"].looks
    record = looks.record()
    words = "no component open), and every label also holds below radius 9 (T1"
    stops = ({"stopped": None}, {"stopped": words})
    for changes in ({"shares": "all"}, {"looks": []}, {"spending": "free"}, *stops):
        with pytest.raises(cs.InputError, match="of the looks"):
            Looks.from_record({**record, **changes}, looks.modes, looks.hits)
    again = Looks.from_record(record, looks.modes, looks.hits)
    assert again.record() == record


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("budget", ("all but at most 3 of", "labels given", "are the majority", "k = 4 (T5)")),
        ("radius map", ("below its own radius (", "all radii hold together", "a radius map", "T6")),
        (
            "hierarchical",
            ('groups of the hierarchy "tiny"', "contains the base model's label", "T8"),
        ),
        (
            "adaptive",
            (
                "at a level for each component",
                "the caller answers for the levels",
                "10 separate draws (split, T2)",
            ),
        ),
        ("sequential", ("looked at after", "spending alpha as", "stopped: budget used")),
        ("e-process", ("by an e-process, valid at any time",)),
        ("sequential budget", ("all but at most 2 of", "k = 3 (T5), looked at after")),
    ],
)
def test_statements_say_what_the_method_claims(name, parts):
    text = _certificates()[name].statement()
    assert text.count("\n") == 0
    for part in parts:
        assert part in text, (part, text)


def test_a_coarser_grid_is_named_in_cells():
    source = made_up_source(input_shape=(3, 8, 9))
    counts = np.zeros((2, 3, 3), dtype=np.uint8)
    counts[..., 0] = 100
    cert = cs.certify(cs.VoteCounts(counts, 100, source), noise=NOISE)
    assert "6 cells of the model's 2 x 3 grid over 8 x 9 pixels" in cert.statement()
    assert cert.full_size().shape == (8, 9)
    assert np.array_equal(cert.at(0.1), cert.labels)
    assert np.all(cert.at(0.2) == cs.ABSTAIN)


def test_names_cannot_pass_for_a_part_of_the_claim():
    name = 'tiny", and every label also holds below radius 9, "'
    tree = replace(TREE, name=name)
    stored = replace(_certificates()["hierarchical"], hierarchy=tree)
    assert "\"tiny', and every label also holds below radius 9, '\"" in stored.statement()
    assert replace(TREE, parents=(-1, 3, 3, -1)).fingerprint != TREE.fingerprint


def test_a_short_form_for_the_screen(certificate):
    assert len(repr(certificate)) < 120
    assert certificate.method in repr(certificate)
