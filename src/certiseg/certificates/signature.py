"""Detached Ed25519 signatures of certificate files: FILE.sig beside FILE (RFC 8032).

The signed message is a prefix specific to certiseg and the SHA-256 of the whole file. A signature
shows that the holder of the key signed these bytes, nothing more.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from certiseg.errors import ClaimError, InputError, first_line
from certiseg.files.documents import parse_json, small_file
from certiseg.files.fields import Fields, checked, hexadecimal, one_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

FORMAT = "certiseg-signature-1"
_RECORD: Fields = {"format": one_of(FORMAT), "key": hexadecimal(64), "signature": hexadecimal(128)}
_REMEDY = {
    "private": "make one with openssl genpkey -algorithm ed25519 -out KEY.pem",
    "public": "take it from the private one with openssl pkey -in KEY.pem -pubout -out PUBLIC.pem",
}


def signature_file(file: str | Path) -> Path:
    """Path of the signature of a file: FILE.sig."""
    return Path(f"{file}.sig")


def sign(content: bytes, key: Ed25519PrivateKey) -> bytes:
    """Sign a certificate file. content: its bytes. Returns the bytes of ``signature_file``.

    Example:
        >>> from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        >>> json.loads(sign(b"the certificate's file", Ed25519PrivateKey.generate()))["format"]
        'certiseg-signature-1'
    """
    signature = key.sign(_message(content)).hex()
    record = {"format": FORMAT, "key": key_name(key.public_key()), "signature": signature}
    return (json.dumps(record, indent=1) + "\n").encode()


def private_key(path: str | Path) -> Ed25519PrivateKey:
    """Read an Ed25519 private key from a PEM file without a password. Raises InputError."""
    key: Ed25519PrivateKey = _key(Path(path), "private")
    return key


def public_key(path: str | Path) -> Ed25519PublicKey:
    """Read an Ed25519 public key from a PEM file. Raises InputError."""
    key: Ed25519PublicKey = _key(Path(path), "public")
    return key


def check(content: bytes, file: str | Path, key: Ed25519PublicKey) -> None:
    """Raise ClaimError unless FILE.sig is a signature of ``content`` by this key.

    content: bytes of the file, read once for checking and parsing.
    """
    from cryptography.exceptions import InvalidSignature

    path = signature_file(file)
    try:
        record = checked(parse_json(small_file(path)), _RECORD, "a signature")
    except ValueError as error:
        raise ClaimError(f"expected a signature of {file} at {path}, got {error}") from None
    if record["key"] != key_name(key):
        raise ClaimError(
            f"expected a signature by the key {key_name(key)[:16]}..., got one by "
            f"{record['key'][:16]}... at {path}"
        )
    try:
        key.verify(bytes.fromhex(record["signature"]), _message(content))
    except InvalidSignature:
        raise ClaimError(
            f"expected {file} as it was signed, got other content or a forged {path}"
        ) from None


def key_name(key: Ed25519PublicKey) -> str:
    """The public key in hexadecimal."""
    return key.public_bytes_raw().hex()


def _message(content: bytes) -> bytes:
    return f"{FORMAT}\0".encode() + hashlib.sha256(content).digest()


def _key(path: Path, kind: str) -> Any:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise InputError(
            "expected the package cryptography for signatures, got none; "
            "pip install 'certiseg[sign]'"
        ) from None
    private, pem = kind == "private", b""
    wanted = ed25519.Ed25519PrivateKey if private else ed25519.Ed25519PublicKey
    try:
        pem = small_file(path)
        key: object = (
            serialization.load_pem_private_key(pem, password=None)
            if private
            else serialization.load_pem_public_key(pem)
        )
        if isinstance(key, wanted):
            return key
        got = f"a {kind} key of another kind"
    except TypeError:
        got = "one behind a password (openssl pkey -in KEY.pem takes it off)"
    except (ValueError, UnsupportedAlgorithm) as error:
        other = b"PUBLIC KEY" if private else b"PRIVATE KEY"
        got = "the other half of a pair" if other in pem else first_line(error)
    raise InputError(f"expected an Ed25519 {kind} key in PEM at {path}, got {got}; {_REMEDY[kind]}")
