"""Signatures: of the very bytes, by the very key, and none that is left out unnoticed."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519

import certiseg as cs
from certiseg.certificates import signature
from forged import Parts, certificates, pem

CONTENT = Parts.of(certificates()["pooled"]).content()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a.npz, a.npz.sig, and keys of two people."""
    for name in ("mine", "other"):
        key = ed25519.Ed25519PrivateKey.generate()
        (tmp_path / f"{name}.pem").write_bytes(pem(key))
        (tmp_path / f"{name}.pub").write_bytes(pem(key.public_key()))
    (tmp_path / "a.npz").write_bytes(CONTENT)
    private = signature.private_key(tmp_path / "mine.pem")
    (tmp_path / "a.npz.sig").write_bytes(signature.sign(CONTENT, private))
    return tmp_path


def test_the_signed_file_passes(place: Path) -> None:
    """Negative control of all refusals, under another name too: signed are the bytes."""
    key = signature.public_key(place / "mine.pub")
    signature.check(CONTENT, place / "a.npz", key)
    shutil.copy(place / "a.npz.sig", place / "b.npz.sig")
    signature.check(CONTENT, place / "b.npz", key)


@pytest.mark.parametrize("byte", [0, 40, len(CONTENT) // 2, len(CONTENT) - 1])
def test_any_other_byte_is_noticed(place: Path, byte: int) -> None:
    other = bytearray(CONTENT)
    other[byte] ^= 1
    with pytest.raises(cs.ClaimError, match="as it was signed, got other content"):
        signature.check(bytes(other), place / "a.npz", signature.public_key(place / "mine.pub"))


def test_another_key(place: Path) -> None:
    with pytest.raises(cs.ClaimError, match="a signature by the key"):
        signature.check(CONTENT, place / "a.npz", signature.public_key(place / "other.pub"))


def _record(**changes: object):
    return lambda record: json.dumps({**record, **changes})


SIGNATURES = {
    "none": lambda record: None,
    "empty": lambda record: "",
    "no record": lambda record: "[]",
    "another field": _record(more=1),
    "another format": _record(format="certiseg-signature-2"),
    "of nothing": _record(signature="00" * 64),
    "cut short": _record(signature="00" * 63),
    "in capitals": lambda record: json.dumps({**record, "signature": record["signature"].upper()}),
    "key twice": lambda record: json.dumps(record)[:-1] + ', "key": "x"}',
    "too large": lambda record: json.dumps(record) + " " * 2**20,
}


@pytest.mark.parametrize("case", SIGNATURES)
def test_signatures_that_are_none(place: Path, case: str) -> None:
    file = place / "a.npz.sig"
    text = SIGNATURES[case](json.loads(file.read_text()))
    file.unlink()
    if text is not None:
        file.write_text(text)
    with pytest.raises(cs.ClaimError) as info:
        signature.check(CONTENT, place / "a.npz", signature.public_key(place / "mine.pub"))
    assert len(str(info.value).splitlines()) == 1


def test_a_signature_of_the_bare_digest_is_none(place: Path) -> None:
    """What the key signs elsewhere, this file or its digest, is no signature of a certificate."""
    key = signature.private_key(place / "mine.pem")
    record = json.loads((place / "a.npz.sig").read_text())
    for message in (CONTENT, hashlib.sha256(CONTENT).digest()):
        forged = {**record, "signature": key.sign(message).hex()}
        (place / "a.npz.sig").write_text(json.dumps(forged))
        with pytest.raises(cs.ClaimError, match="forged"):
            signature.check(CONTENT, place / "a.npz", key.public_key())


KEYS = {
    "missing": (None, "No such file"),
    "no PEM": (b"hello", "PEM"),
    "behind a password": (pem(ed25519.Ed25519PrivateKey.generate(), b"x"), "behind a password"),
    "of another curve": (pem(ec.generate_private_key(ec.SECP256R1())), "of another kind"),
    "for exchange": (pem(x25519.X25519PrivateKey.generate()), "of another kind"),
    "public": (pem(ed25519.Ed25519PrivateKey.generate().public_key()), "the other half"),
    "too large": (b"x" * 2**20, "more than 256 KiB"),
}


@pytest.mark.parametrize("case", KEYS)
def test_keys_that_cannot_sign(tmp_path: Path, case: str) -> None:
    content, part = KEYS[case]
    if content is not None:
        (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(cs.InputError, match=part) as info:
        signature.private_key(tmp_path / "key.pem")
    assert "openssl genpkey -algorithm ed25519" in str(info.value)
    assert len(str(info.value).splitlines()) == 1


def test_a_private_key_is_no_public_one(place: Path) -> None:
    with pytest.raises(cs.InputError, match=r"the other half .* openssl pkey .* -pubout"):
        signature.public_key(place / "mine.pem")


def test_the_extra_is_named(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(cs.InputError, match=r"pip install 'certiseg\[sign\]'"):
        signature.private_key(place / "mine.pem")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_the_remedies_work(tmp_path: Path) -> None:
    """The keys that the errors tell how to make."""
    for line in ("genpkey -algorithm ed25519 -out KEY.pem", "pkey -in KEY.pem -pubout -out P.pem"):
        subprocess.run(["openssl", *line.split()], cwd=tmp_path, check=True, capture_output=True)
    key = signature.private_key(tmp_path / "KEY.pem")
    (tmp_path / "a.sig").write_bytes(signature.sign(CONTENT, key))
    signature.check(CONTENT, tmp_path / "a", signature.public_key(tmp_path / "P.pem"))
