"""Save and load certificates as npz files: arrays and a JSON text, no pickle."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.certificates.archive import LARGEST, LARGEST_FILE, read_arrays
from certiseg.certificates.certificate import Certificate
from certiseg.certificates.record import FORMAT, certificate_of, parts_of, text_of
from certiseg.errors import ClaimError, InputError, first_line
from certiseg.files.atomic import atomic_write
from certiseg.files.documents import parse_json, small_file

_REMEDY = "pass a file written by Certificate.save or certiseg certify"
LONGEST_TEXT = 16 * 1024**2
"""Largest JSON text in bytes; a hierarchy of 10 000 names takes about 1 MiB."""


@dataclass(frozen=True)
class Stored:
    """A parsed certificate, and the statement stored with it.

    ``certificate.statement()`` rebuilds the statement with this version of certiseg.
    """

    certificate: Certificate
    statement: str


def save(certificate: Certificate, path: str | Path) -> None:
    """Write the certificate atomically. Raises OSError if the write fails."""
    atomic_write(path, content_of(certificate))


def content_of(certificate: Certificate) -> bytes:
    """The bytes that ``save`` writes, a function of the certificate alone.

    Raises InputError if they are too large for ``load``.
    """
    meta, arrays = parts_of(certificate)
    text = text_of(meta)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        meta=np.frombuffer(text.encode(), dtype=np.uint8),
        digest=np.frombuffer(_digest(text, arrays).encode(), dtype=np.uint8),
        **arrays,
    )
    content, size = buffer.getvalue(), sum(array.nbytes for array in arrays.values())
    if size + len(text) > LARGEST or len(content) > LARGEST_FILE:
        raise InputError(
            f"expected votes of at most {LARGEST} bytes, and {LARGEST_FILE} packed, got {size} and "
            f"{len(content)}; certify the input in parts"
        )
    return content


def load(path: str | Path) -> Certificate:
    """Read a certificate from a file. Raises InputError and ClaimError as ``parse`` does."""
    return parse(read(path), path).certificate


def read(path: str | Path) -> bytes:
    """Read the bytes of a certificate file, for ``parse``.

    Raises InputError if the file cannot be read or is larger than any certificate.
    """
    try:
        return small_file(Path(path), LARGEST_FILE)
    except ValueError as error:
        reason = "no file" if not Path(path).exists() else error
        raise InputError(
            f"expected a certificate file, got {reason} at {path}; {_REMEDY}"
        ) from None


def parse(content: bytes, path: str | Path) -> Stored:
    """Parse the bytes of a certificate file. path: named in errors.

    Raises InputError for a truncated or foreign file, and ClaimError if the content does not match
    its digest or is not exactly what ``save`` writes for some certificate. The digest detects
    accidental changes only; who alters the digest too is detected only by ``verify`` or by a
    signature (``certificates.signature``).
    """
    try:
        arrays = read_arrays(content)
        text, digest = (arrays.pop(name).tobytes().decode() for name in ("meta", "digest"))
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"{len(text)} letters of text")
        meta = parse_json(text)
        if not isinstance(meta, dict) or meta.get("format") != FORMAT:
            raise ValueError("another format")
    # A damaged zip can raise anything (NotImplementedError, RecursionError, ...).
    except Exception as error:
        reason = first_line(error)
        if isinstance(error, KeyError):
            reason = f"it holds no {reason}"
        raise InputError(
            f"expected a whole {FORMAT} file, got {path} ({reason}); {_REMEDY}"
        ) from None
    try:
        certificate = certificate_of(text, meta, arrays)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        MemoryError,
    ) as error:
        # InputError is a ValueError: counts that do not add up are an altered certificate.
        raise ClaimError(f"the certificate contradicts itself: {path} ({error})") from None
    if digest != _digest(text, arrays):
        raise ClaimError(
            f"the certificate was altered after it was written: {path} (digest does not match)"
        )
    return Stored(certificate, meta["statement"])


def _digest(text: str, arrays: dict[str, NDArray[Any]]) -> str:
    sha = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()
