"""Content of a certificate file: a JSON record and arrays, in their only valid form."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg._version import __version__
from certiseg.certificates.certificate import Certificate
from certiseg.certificates.looks import Looks
from certiseg.certificates.method import method_named
from certiseg.files.fields import (
    RECORD,
    TEXT,
    Field,
    Fields,
    checked,
    number,
    one_of,
    optional,
    whole,
)
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import noise_from_record, noise_record
from certiseg.stats.pvalues import MOST_TRIALS
from certiseg.votes import Source, VoteCounts

FORMAT = "certiseg-certificate-1"

_VERSION = re.compile(r"[0-9A-Za-z.+-]{1,40}")
_PARAMETERS: Fields = {
    "method": TEXT,
    "alpha": number(0.0, 1.0),
    "tau": optional(number(0.0, 1.0)),
    "correction": optional(TEXT),
    "budget": optional(whole(1, 2**63)),
    "selection": TEXT,
    "cutoff": optional(whole(1, MOST_TRIALS + 1)),
    "version": Field(
        "a version", lambda value: isinstance(value, str) and bool(_VERSION.fullmatch(value))
    ),
}
_META: Fields = {
    **_PARAMETERS,
    "format": one_of(FORMAT),
    "statement": TEXT,
    "noise": RECORD,
    "radius": optional(number(0.0, math.inf)),
    "votes": RECORD,
    "selection_votes": optional(RECORD),
    "looks": optional(RECORD),
    "hierarchy": optional(RECORD),
}
_VOTES: Fields = {"trials": whole(1, MOST_TRIALS), "source": optional(RECORD)}
_KINDS = {
    "labels": "i",
    "counts": "iu",
    "selection_counts": "iu",
    "candidates": "iu",
    "radius": "f",
    "look_modes": "iu",
    "look_hits": "iu",
    "levels": "iu",
}


def parts_of(certificate: Certificate) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Split a certificate into the record and the arrays of its file."""
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
    if certificate.parameters is not None:
        meta["parameters"] = dict(certificate.parameters)
    return meta, {name: array for name, array in known.items() if array is not None}


def text_of(meta: dict[str, Any]) -> str:
    """The canonical JSON text of a record."""
    return json.dumps(meta, sort_keys=True, allow_nan=False)


def certificate_of(text: str, meta: Any, arrays: dict[str, NDArray[Any]]) -> Certificate:
    """Inverse of ``parts_of``. text: JSON text from which meta was parsed.

    Raises ValueError, or what wrong types lead to, unless ``parts_of`` of some certificate gives
    exactly these parts.
    """
    extra = {"parameters": RECORD} if "parameters" in meta else {}
    certificate = _build(arrays, checked(meta, {**_META, **extra}, "a certificate"))
    _check_form(certificate, meta, text, arrays)
    return certificate


def _build(arrays: dict[str, NDArray[Any]], meta: dict[str, Any]) -> Certificate:
    missing = {"labels", "counts"} - set(arrays)
    if missing:
        raise ValueError(f"arrays {sorted(missing)} are missing")
    for name, array in arrays.items():
        if name not in _KINDS:
            raise ValueError(f"unknown array {name!r:.40}")
        if array.dtype.kind not in _KINDS[name]:
            raise ValueError(f"{name} of type {array.dtype}")
    votes = _votes(arrays["counts"], meta["votes"])
    stage, looks, hierarchy = meta["selection_votes"], meta["looks"], meta["hierarchy"]
    _check_shape(arrays["labels"].shape, votes)
    return Certificate(
        labels=arrays["labels"],
        radius=_radius(meta["radius"], arrays, mapped=method_named(meta["method"]).mapped),
        votes=votes,
        noise=noise_from_record(meta["noise"]),
        selection_votes=None if stage is None else _votes(arrays["selection_counts"], stage),
        candidates=arrays.get("candidates"),
        looks=None
        if looks is None
        else Looks.from_record(looks, arrays["look_modes"], arrays["look_hits"]),
        hierarchy=None if hierarchy is None else Hierarchy.from_record(hierarchy),
        levels=arrays.get("levels"),
        parameters=meta.get("parameters"),
        **{name: meta[name] for name in _PARAMETERS},
    )


def _check_shape(shape: tuple[int, ...], votes: VoteCounts) -> None:
    """Raise ValueError if labels of an image have a finer grid than its pixels, or a binary output
    does not have two classes and, for overlapping maps, an axis of maps."""
    source = votes.source
    size = () if source is None else source.input_shape[1:]
    if source is not None and source.binary is not None:
        if votes.num_classes != 2 or (source.binary.multi_label and not shape):
            raise ValueError(f"labels of shape {shape} and {votes.num_classes} classes of a binary")
        shape = shape[1:] if source.binary.multi_label else shape
    if len(shape) == len(size) == 2 and (shape[0] > size[0] or shape[1] > size[1]):
        raise ValueError(f"labels of shape {shape} over {size} pixels")


def _radius(
    value: float | None, arrays: dict[str, NDArray[Any]], *, mapped: bool
) -> float | NDArray[np.float64]:
    """The radius: one number, or for a radius map an array."""
    if not mapped == (value is None) == ("radius" in arrays):
        raise ValueError("expected one radius or a map of them")
    if value is not None:
        return value
    radius = arrays["radius"]
    if radius.dtype != np.float64 or radius.shape != arrays["labels"].shape:
        raise ValueError(f"a radius map of {radius.dtype} and shape {radius.shape}")
    if not np.all(np.isfinite(radius)):
        raise ValueError("radii that are not finite")
    return radius


def _votes_record(votes: VoteCounts | None) -> dict[str, Any] | None:
    if votes is None:
        return None
    source = None if votes.source is None else votes.source.record()
    return {"trials": votes.trials, "source": source}


def _votes(counts: NDArray[Any], record: dict[str, Any]) -> VoteCounts:
    values = checked(record, _VOTES, "votes")
    source = None if values["source"] is None else Source.from_record(values["source"])
    return VoteCounts(counts, values["trials"], source)


def _check_form(
    certificate: Certificate, meta: dict[str, Any], text: str, arrays: dict[str, NDArray[Any]]
) -> None:
    """Raise ValueError unless ``save`` would write exactly this text and these arrays."""
    again, written = parts_of(certificate)
    if set(written) != set(arrays):
        raise ValueError(f"arrays {sorted(set(written) ^ set(arrays))} without their record")
    if certificate.version != __version__:
        # The wording of statements may differ between versions.
        again["statement"] = meta["statement"]
    if meta["statement"] != again["statement"]:
        raise ValueError("its statement is not what its numbers say")
    if text != text_of(again):
        other = [name for name in again if text_of({"": again[name]}) != text_of({"": meta[name]})]
        raise ValueError(f"{other[0] if other else 'its text'} in another form than is written")
