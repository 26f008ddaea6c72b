"""Certificates as npz files: arrays and one JSON text, no pickle."""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg._version import __version__
from certiseg.certificates.certificate import Certificate
from certiseg.certificates.looks import Looks
from certiseg.errors import ClaimError, InputError, first_line
from certiseg.files import atomic_write
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import noise_from_record, noise_record
from certiseg.votes import Source, VoteCounts

FORMAT = "certiseg-certificate-1"
_PARAMETERS: dict[str, tuple[type, ...]] = {
    "method": (str,),
    "alpha": (float, int),
    "tau": (float, int, NoneType),
    "correction": (str, NoneType),
    "budget": (int, NoneType),
    "selection": (str,),
    "cutoff": (int, NoneType),
    "version": (str,),
}
_LARGEST = 4 * 1024**3
_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,40}")
_ARRAYS = (
    "labels",
    "counts",
    "selection_counts",
    "candidates",
    "radius",
    "look_modes",
    "look_hits",
    "levels",
)


def save(certificate: Certificate, path: str | Path) -> None:
    """Write the certificate atomically. Raises OSError where the folder cannot be written."""
    atomic_write(path, content_of(certificate))


def content_of(certificate: Certificate) -> bytes:
    """What ``save`` writes: for the same certificate the same bytes."""
    looks, hierarchy, stage = certificate.looks, certificate.hierarchy, certificate.selection_votes
    radius = certificate.radius
    known: dict[str, NDArray[Any] | None] = {
        "labels": certificate.labels,
        "counts": certificate.votes.counts,
        "selection_counts": None if stage is None else stage.counts,
        "candidates": certificate.candidates,
        "radius": radius if isinstance(radius, np.ndarray) else None,
        "look_modes": None if looks is None else looks.modes,
        "look_hits": None if looks is None else looks.hits,
        "levels": certificate.levels,
    }
    arrays = {name: array for name, array in known.items() if array is not None}
    meta: dict[str, Any] = {
        "format": FORMAT,
        "statement": certificate.statement(),
        "noise": noise_record(certificate.noise),
        "radius": None if isinstance(radius, np.ndarray) else radius,
        "votes": _votes_record(certificate.votes),
        "selection_votes": _votes_record(stage),
        "looks": None if looks is None else looks.record(),
        "hierarchy": None if hierarchy is None else hierarchy.record(),
        **{name: getattr(certificate, name) for name in _PARAMETERS},
    }
    text = json.dumps(meta, sort_keys=True)
    digest = _digest(text, arrays)
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        meta=np.frombuffer(text.encode(), dtype=np.uint8),
        digest=np.frombuffer(digest.encode(), dtype=np.uint8),
        **arrays,
    )
    return buffer.getvalue()


def load(path: str | Path) -> Certificate:
    """Read a certificate.

    Raises InputError for a missing, cut or foreign file, ClaimError when the contents do not
    match the digest written with them. The digest finds accidents and careless edits; it is no
    signature, whoever rewrites it too is found only by ``verify``, or not at all.
    """
    content, meta, text, digest = _read(path)
    try:
        certificate = _build(content, meta)
    except (
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        ArithmeticError,
        MemoryError,
    ) as error:
        # InputError is a ValueError: a count that does not add up, say, is an altered claim.
        raise ClaimError(f"the certificate contradicts itself: {path} ({error})") from None
    if digest != _digest(text, content):
        raise ClaimError(
            f"the certificate was altered after it was written: {path} (digest does not match)"
        )
    return certificate


def _read(path: str | Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any], str, str]:
    remedy = "pass a file written by Certificate.save or certiseg certify"
    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("a bare array")
            members = {name: file[name] for name in file.files}
        text = members.pop("meta").tobytes().decode()
        digest = members.pop("digest").tobytes().decode()
        meta = json.loads(text)
        if meta["format"] != FORMAT:
            raise ValueError(f"format {meta['format']!r}")
    except FileNotFoundError:
        raise InputError(f"expected a certificate file, got no file at {path}; {remedy}") from None
    # A damaged zip or array header can fail in any way (NotImplementedError, RecursionError,
    # TokenError ...); none of them is more than "this is no whole certificate".
    except Exception as error:
        reason = first_line(error)
        if isinstance(error, KeyError):
            reason = f"it holds no {reason}"
        raise InputError(
            f"expected a whole {FORMAT} file, got {path} ({reason}); {remedy}"
        ) from None
    return members, meta, text, digest


def _check_size(path: str | Path) -> None:
    """Refuse an archive that would unpack to more than any certificate holds."""
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > _LARGEST:
        raise ValueError(f"it would unpack to {size} bytes")


def _build(arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Certificate:
    unknown = set(arrays) - set(_ARRAYS)
    if unknown:
        raise ValueError(f"unknown arrays {sorted(unknown)}")
    missing = {"labels", "counts"} - set(arrays)
    if missing:
        raise ValueError(f"arrays {sorted(missing)} are missing")
    votes = _votes(arrays["counts"], meta["votes"])
    if votes is None:
        raise ValueError("no votes")
    if not np.issubdtype(arrays["labels"].dtype, np.signedinteger):
        raise ValueError(f"labels of type {arrays['labels'].dtype}")
    looks, hierarchy = meta["looks"], meta["hierarchy"]
    if not _VERSION.fullmatch(str(meta["version"])):
        raise ValueError(f"version {meta['version']!r:.40}")
    _check_grid(arrays["labels"].shape, votes.source)
    certificate = Certificate(
        labels=arrays["labels"],
        radius=_radius(meta["radius"], arrays, mapped=meta["method"] == "radius_map"),
        votes=votes,
        noise=noise_from_record(meta["noise"]),
        selection_votes=_votes(arrays.get("selection_counts"), meta["selection_votes"]),
        candidates=arrays.get("candidates"),
        looks=None
        if looks is None
        else Looks.from_record(looks, arrays["look_modes"], arrays["look_hits"]),
        hierarchy=None if hierarchy is None else Hierarchy.from_record(hierarchy),
        levels=arrays.get("levels"),
        **{name: _typed(name, meta[name]) for name in _PARAMETERS},
    )
    # Another version may word the same claim in another way.
    if certificate.version == __version__ and certificate.statement() != meta["statement"]:
        raise ValueError("its statement is not what its numbers say")
    return certificate


def _check_grid(shape: tuple[int, ...], source: Source | None) -> None:
    """Labels of a picture lie on its pixels or on a coarser grid."""
    size = () if source is None else source.input_shape[1:]
    if len(shape) == len(size) == 2 and (shape[0] > size[0] or shape[1] > size[1]):
        raise ValueError(f"labels of shape {shape} over {size} pixels")


def _radius(
    value: Any, arrays: dict[str, NDArray[Any]], *, mapped: bool
) -> float | NDArray[np.float64]:
    """One number, or the array of a radius map, never both."""
    if not mapped == (value is None) == ("radius" in arrays):
        raise ValueError("expected one radius or a map of them")
    if value is not None:
        return float(_checked("radius", value, (float, int)))
    radius = arrays["radius"]
    if radius.dtype != np.float64 or radius.shape != arrays["labels"].shape:
        raise ValueError(f"a radius map of {radius.dtype} and shape {radius.shape}")
    if not np.all(np.isfinite(radius)):
        raise ValueError("radii that are not finite")
    return radius


def _typed(name: str, value: Any) -> Any:
    return _checked(name, value, _PARAMETERS[name])


def _checked(name: str, value: Any, allowed: tuple[type, ...]) -> Any:
    """The value if it has the type that the parameter has; JSON knows no records."""
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise ValueError(f"{name} = {value!r}")
    if isinstance(value, (int, float)):
        if not math.isfinite(value):
            raise ValueError(f"{name} = {value!r}")
        return float(value) if allowed[0] is float else value
    return value


def _votes_record(votes: VoteCounts | None) -> dict[str, Any] | None:
    if votes is None:
        return None
    source = None if votes.source is None else votes.source.record()
    return {"trials": votes.trials, "source": source}


def _votes(counts: NDArray[Any] | None, record: dict[str, Any] | None) -> VoteCounts | None:
    if counts is None or record is None:
        return None
    source = None if record["source"] is None else Source.from_record(record["source"])
    return VoteCounts(counts, record["trials"], source)


def _digest(text: str, arrays: dict[str, NDArray[Any]]) -> str:
    sha = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {array.dtype.str} {array.shape}".encode())
        sha.update(array.data)
    return sha.hexdigest()
