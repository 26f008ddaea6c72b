"""Certificates on disk: whole, cut, edited."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import certiseg as cs
from certiseg.certificates import archive, storage
from certiseg.votes import Source
from some_votes import made_up_source

NOISE = cs.Gaussian(0.25)
SOURCE = made_up_source(10, 110, engine={"device": "cpu"})


def _votes(draws=((10, 110),), hits=99) -> cs.VoteCounts:
    trials = draws[0][1] - draws[0][0]
    counts = np.zeros((2, 3, 4), dtype=np.int16)
    counts[..., 1] = min(hits, trials)
    counts[..., 0] = trials - counts[..., 1]
    return cs.VoteCounts(counts, trials, replace(SOURCE, draws=draws))


def _certificates() -> dict[str, cs.Certificate]:
    votes, first = _votes(), _votes(((0, 10),))
    one = cs.VoteCounts(np.array([97, 3]), 100)
    ten = cs.VoteCounts(np.array([10, 0]), 10)
    return {
        "pooled": cs.certify(votes, noise=NOISE),
        "split": cs.certify(votes, noise=NOISE, selection_votes=first, correction="bonferroni"),
        "classify": cs.classify(one, noise=NOISE, selection_votes=ten),
        "one stage": cs.classify(one, noise=NOISE),
        "individual": cs.individual(votes, noise=NOISE, selection_votes=first),
        "joint": cs.joint(one, candidates=np.array([[1, 2]]), noise=NOISE),
        "nothing": cs.joint(
            cs.VoteCounts(np.array([1, 99]), 100), candidates=np.array([1]), noise=NOISE
        ),
    }


@pytest.fixture(params=list(_certificates()))
def certificate(request) -> cs.Certificate:
    return _certificates()[request.param]


def test_round_trip(certificate, tmp_path):
    path = tmp_path / "a.cert.npz"
    certificate.save(path)
    again = cs.Certificate.load(path)
    cs.verify(again)
    assert np.array_equal(again.labels, certificate.labels)
    assert again.statement() == certificate.statement()
    assert again.votes.source == certificate.votes.source
    assert again.votes.counts.dtype == certificate.votes.counts.dtype
    for name in ("method", "alpha", "tau", "correction", "selection", "cutoff", "noise"):
        assert getattr(again, name) == getattr(certificate, name)
    assert np.array_equal(again.radius, certificate.radius)
    assert [file.name for file in tmp_path.iterdir()] == ["a.cert.npz"]


def test_statement_is_one_sentence(certificate):
    text = certificate.statement()
    assert "\n" not in text
    assert text.endswith(f"[certiseg {cs.__version__}].")
    assert text.startswith("With confidence 99.9%")
    assert "l2 norm below" in text or "nothing is claimed" in text


def test_what_a_file_says_of_its_engine_adds_nothing_to_the_sentence():
    """Whoever writes a file chooses these words; quoted, they cannot pass for the claim."""
    votes = _votes()
    said = {}
    for precision in ("float32, autocast bfloat16", 'float32) holds for radius 9"\n(see "above'):
        source = replace(SOURCE, engine={"precision": precision})
        said[precision] = cs.certify(
            cs.VoteCounts(votes.counts, 100, source), noise=NOISE
        ).statement()
    plain, forged = said.values()
    assert ", computed in float32, autocast bfloat16) under" in plain
    assert """, computed in "float32) holds for radius 9' (see 'above") under""" in forged
    assert "\n" not in forged
    record = replace(SOURCE, engine={"precision": "float32"}).record()
    for engine in (["float32"], {"precision": 32}):
        with pytest.raises(cs.InputError, match="text as engine of a source"):
            Source.from_record({**record, "engine": engine})


def test_statement_names_every_assumption():
    text = _certificates()["split"].statement()
    for part in (
        "alpha = 0.001", "0.168622", "N(0, 0.25^2 I)", "without clipping", "3 x 2 x 3", "[0, 1]",
        "100 draws", "tau = 0.75", "Bonferroni", "10 separate draws", str(2**100 + 1), "entropy",
        "abababababab", "cdcdcdcdcdcd",
        "multiples of h = 2^-10", "within eta = 4.6e-15", "tau + eta",
    ):  # fmt: skip
        assert part in text, part


def test_statement_says_when_the_caller_chose_the_seed():
    votes = _votes()
    votes = cs.VoteCounts(votes.counts, 100, replace(SOURCE, seed_origin="caller", seed=0))
    text = cs.certify(votes, noise=NOISE).statement()
    assert "given by the caller" in text
    assert "not chosen with knowledge" in text


@pytest.mark.parametrize("keep", [0, 1, 100, -1])
def test_cut_short(tmp_path, keep):
    path = tmp_path / "a.cert.npz"
    _certificates()["pooled"].save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    with pytest.raises(cs.InputError, match="expected a whole certiseg-certificate-1 file") as info:
        cs.Certificate.load(path)
    assert "\n" not in str(info.value)


def test_missing_and_foreign_files(tmp_path):
    with pytest.raises(cs.InputError, match="no file"):
        cs.Certificate.load(tmp_path / "none.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(cs.InputError, match=r"other.npz \(it holds no 'meta'\)"):
        cs.Certificate.load(tmp_path / "other.npz")
    np.save(tmp_path / "bare.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "bare.npy", "text.npz"):
        with pytest.raises(cs.InputError, match="expected a whole"):
            cs.Certificate.load(tmp_path / name)


def test_pickle_is_never_loaded(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    (tmp_path / "bomb.npz").write_bytes(pickle.dumps(Bomb()))
    np.savez(tmp_path / "inside.npz", meta=np.array([Bomb()], dtype=object), digest=np.zeros(1))
    for name in ("bomb.npz", "inside.npz"):
        with pytest.raises(cs.InputError, match="expected a whole"):
            cs.Certificate.load(tmp_path / name)


def _edit(path, change) -> None:
    """Rewrite a certificate with its arrays changed, the digest left as it was."""
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    change(members)
    np.savez_compressed(path, **members)


def _meta(members, **changes) -> None:
    meta = json.loads(members["meta"].tobytes())
    meta.update(changes)
    members["meta"] = np.frombuffer(json.dumps(meta, sort_keys=True).encode(), dtype=np.uint8)


EDITS = {
    "labels": lambda m: m["labels"].__setitem__((0, 0), 3),
    "counts": lambda m: m["counts"].__setitem__((0, 0), [0, 100, 0, 0]),
    "counts that do not add up": lambda m: m["counts"].__setitem__((0, 0), [0, 99, 0, 0]),
    "radius": lambda m: _meta(m, radius=0.5),
    "alpha": lambda m: _meta(m, alpha=0.01),
    "method": lambda m: _meta(m, method="magic"),
    "noise": lambda m: _meta(m, noise={"kind": "laplace", "sigma": 1.0}),
    "extra array": lambda m: m.update(more=np.zeros(3)),
}


@pytest.mark.parametrize("edit", list(EDITS))
def test_edited(tmp_path, edit):
    path = tmp_path / "a.cert.npz"
    _certificates()["pooled"].save(path)
    _edit(path, EDITS[edit])
    with pytest.raises(cs.ClaimError, match=r"altered|contradicts") as info:
        cs.Certificate.load(path)
    assert "\n" not in str(info.value)


def _forge(path, **changes) -> None:
    """Rewrite parameters and the digest with them, as a careful forger would."""
    with np.load(path) as file:
        members = {name: file[name] for name in file.files}
    _meta(members, **changes)
    arrays = {k: v for k, v in members.items() if k not in ("meta", "digest")}
    digest = storage._digest(members["meta"].tobytes().decode(), arrays)
    members["digest"] = np.frombuffer(digest.encode(), dtype=np.uint8)
    np.savez_compressed(path, **members)


FORGERIES = {
    "tau as text": {"tau": "0.75"},
    "alpha as text": {"alpha": "0.001"},
    "alpha missing": {"alpha": None},
    "alpha true": {"alpha": True},
    "radius not a number": {"radius": float("nan")},
    "radius infinite": {"radius": float("inf")},
    "cutoff as share": {"cutoff": 0.5},
    "statement": {"statement": "All pixels are certified."},
    "trials as text": {"votes": {"trials": "100", "source": None}},
    "no votes": {"votes": None},
    "method as list": {"method": ["segcertify"]},
    "larger radius": {"radius": 0.5},
    "smaller alpha": {"alpha": 1e-12},
    "tau of nothing": {"tau": 1.5},
    "unknown correction": {"correction": "none"},
}


@pytest.mark.parametrize("name", list(FORGERIES))
def test_forged_with_a_fitting_digest(tmp_path, name):
    """Types and the sentence are checked on reading, what the counts carry by verify."""
    path = tmp_path / "a.cert.npz"
    _certificates()["pooled"].save(path)
    _forge(path, **FORGERIES[name])
    # A number that is none is no JSON, so there is no claim to speak of.
    refused = cs.InputError if "radius " in name and "larger" not in name else cs.ClaimError
    with pytest.raises(refused) as info:
        cs.verify(cs.Certificate.load(path))
    assert "\n" not in str(info.value)


def test_a_forgery_that_changes_nothing_is_accepted(tmp_path):
    """Negative control of the forgeries."""
    path = tmp_path / "a.cert.npz"
    _certificates()["pooled"].save(path)
    _forge(path, tau=0.75)
    cs.verify(cs.Certificate.load(path))


def test_other_versions_may_word_the_claim_differently(tmp_path):
    path = tmp_path / "a.cert.npz"
    replace(_certificates()["pooled"], version="0.0.9").save(path)
    _forge(path, statement="An older wording.")
    cs.verify(cs.Certificate.load(path))


@pytest.mark.parametrize("byte", range(0, 1200, 7))
def test_any_damaged_byte_gives_one_line(tmp_path, byte):
    """Damage may do nothing (in padding); it may not crash, and no other claim may pass."""
    path = tmp_path / "a.cert.npz"
    whole = _certificates()["pooled"]
    whole.save(path)
    data = bytearray(path.read_bytes())
    data[byte % len(data)] ^= 0x55
    path.write_bytes(bytes(data))
    complaint = ""
    try:
        read = cs.Certificate.load(path)
        cs.verify(read)
    except (cs.InputError, cs.ClaimError) as error:
        complaint = str(error)
    assert "\n" not in complaint
    assert complaint or read.statement() == whole.statement()


def test_an_archive_that_would_unpack_to_too_much_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.cert.npz"
    _certificates()["pooled"].save(path)
    monkeypatch.setattr(archive, "LARGEST", 100)
    with pytest.raises(cs.InputError, match="unpack to"):
        cs.Certificate.load(path)


def test_sources_from_files_are_typed(tmp_path):
    path = tmp_path / "a.cert.npz"
    votes = _votes()
    for changes in ({"model": None}, {"seed": "7"}, {"seed_origin": "dice"}, {"key": 7}):
        cs.certify(votes, noise=NOISE).save(path)
        _forge(path, votes={"trials": 100, "source": {**SOURCE.record(), **changes}})
        with pytest.raises(cs.ClaimError, match="contradicts"):
            cs.Certificate.load(path)


def test_names_from_files_cannot_break_the_line(tmp_path):
    path = tmp_path / "a.cert.npz"
    source = replace(SOURCE, model_name="Net\nother.npz: ok: \x1b[31m")
    cs.certify(cs.VoteCounts(_votes().counts, 100, source), noise=NOISE).save(path)
    text = cs.Certificate.load(path).statement()
    assert "\n" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("alpha", "text"), [(1e-3, "99.9%"), (1e-9, "99.9999999%"), (0.05, "95%"), (0.3, "70%")]
)
def test_confidence_is_not_rounded_up(alpha, text):
    counts = np.full((1, 1), 200, dtype=np.uint8)
    cert = cs.certify(cs.VoteCounts(counts, 200), noise=NOISE, alpha=alpha)
    assert cert.statement().startswith(f"With confidence {text} over")


def test_shares_are_cut_off():
    """One component of a million abstains: that is not 100%."""
    counts = np.full((10**6, 2), 0, dtype=np.uint8)
    counts[:, 0] = 200
    counts[0] = 100
    cert = cs.certify(cs.VoteCounts(counts, 200), noise=NOISE)
    assert "(99.9999% of 1000000 components)" in cert.statement()


def test_statement_says_where_the_stages_are_not_known_to_be_apart():
    first = cs.VoteCounts(_votes(((0, 10),)).counts, 10)
    text = cs.certify(_votes(), noise=NOISE, selection_votes=first).statement()
    assert "the caller answers for the draws that chose the candidates" in text


def test_unchanged_rewrite_still_loads(tmp_path):
    """Negative control of the edits: the same rewriting without a change is accepted."""
    path = tmp_path / "a.cert.npz"
    _certificates()["pooled"].save(path)
    _edit(path, lambda members: None)
    cs.verify(cs.Certificate.load(path))


CHANGES = {
    "radius": {"radius": 0.2},
    "labels": {"labels": np.full((2, 3), 2, dtype=np.int16)},
    "shape": {"labels": np.full((2, 2), 1, dtype=np.int16)},
    "alpha": {"alpha": 1e-12},
    "tau": {"tau": 0.99},
    "correction": {"correction": "none"},
    "noise": {"noise": cs.Gaussian(0.5)},
    "cutoff": {"cutoff": 50},
    "selection": {"selection": "split"},
    "larger radius by a hair": {"radius": NOISE.radius(0.75) * (1 + 1e-12)},
    "candidates of no use": {"candidates": np.zeros((2, 3), dtype=np.int32)},
    "method": {"method": "magic"},
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_verify_finds_claims_the_counts_do_not_carry(tmp_path, name):
    """Saved anew, so the digest fits: only recomputation can tell."""
    wrong = replace(_certificates()["pooled"], **CHANGES[name])
    with pytest.raises(cs.ClaimError):
        cs.verify(wrong)


def test_files_hold_no_surprises(tmp_path):
    path = tmp_path / "a.cert.npz"
    _certificates()["split"].save(path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as file:
        names = sorted(file.namelist())
    assert names == [
        "counts.npy", "digest.npy", "labels.npy", "meta.npy", "selection_counts.npy"
    ]  # fmt: skip


def test_saving_nowhere_names_the_place(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "none" / "a.npz", tmp_path / "file" / "a.npz", tmp_path):
        with pytest.raises(OSError, match=r".") as caught:
            _certificates()["pooled"].save(place)
        assert caught.value.filename == str(place)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
