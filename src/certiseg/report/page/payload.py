"""What the page carries of one sample: pictures, label and count maps, a small table of radii."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE
from certiseg.report.look import Looked, contains
from certiseg.report.page.planes import (
    SHIFT,
    label_plane,
    number_plane,
    photograph,
    raw,
    truth_plane,
)
from certiseg.votes import ABSTAIN


def shared_payload(looked: Looked) -> dict[str, Any]:
    """What all runs have in common: the input and its truth."""
    view = looked.view
    common = {"name": looked.kept.planned.name, "size": list(view.size)}
    if view.truth.ndim == 1:
        return {**common, "points": raw(view.x[:3].T, "<f4"), "truth": _points(view.truth, IGNORE)}
    return {**common, "photo": photograph(view.x), "truth": truth_plane(view.truth)}


def run_payload(looked: Looked) -> dict[str, Any]:
    """What one run says about the sample.

    clean, draw, own: labels of the base model on the input and under one draw, and of the
    certificate. mode, hits, table: the map of radii, ``radius_table``; or why_not there is none.
    """
    view, radii = looked.view, looked.chosen
    certificate = looked.certificate
    cloud = view.truth.ndim == 1
    labels = _points if cloud else label_plane
    found: dict[str, Any] = {
        "clean": labels(view.labels["base_clean"]),
        "draw": labels(view.labels["base_noise"]),
        "own": labels(looked.held),
        "trials": certificate.votes.trials,
        "alpha": certificate.alpha,
        "cells": list(certificate.labels.shape) if certificate.labels.shape != view.size else None,
        "statement": certificate.statement(),
        "ownCounts": _counts(looked),
        "whyNot": looked.why_not,
    }
    if cloud:
        found["noisyPoints"] = raw(view.noisy[:3].T, "<f4")
    else:
        found["noisy"] = photograph(view.noisy, noisy=True)
    if radii is not None:
        mode, hits = view.full(radii.labels), view.full(radii.hits)
        found["mode"] = labels(mode)
        found["hits"] = raw(hits, "<u4") if cloud else number_plane(hits)
        found["table"] = radius_table(looked)
        found["ownMap"] = radii.own
    return found


def radius_table(looked: Looked) -> list[list[Any]]:
    """One row a count that occurs, rising: [votes, radius or None, components with so many, those
    of them with truth, those of these that are right, the radius in words]. Radii in full
    precision: the page compares the same numbers as ``Certificate.at``."""
    view, radii = looked.view, looked.chosen
    assert radii is not None
    hits = view.full(radii.hits).astype(np.int64)
    known = view.truth != IGNORE
    right = contains(view.full(radii.labels), view.truth, None)
    length, size = radii.trials + 1, looked.certificate.noise.size
    columns = [
        np.bincount(hits[chosen], minlength=length) for chosen in (known | ~known, known, right)
    ]
    return [
        [
            int(count),
            float(radii.radius[count]) if np.isfinite(radii.radius[count]) else None,
            *(int(column[count]) for column in columns),
            f"radius {size(radii.radius[count], 4)}"
            if np.isfinite(radii.radius[count])
            else "no radius",
        ]
        for count in np.flatnonzero(columns[0])
    ]


def _counts(looked: Looked) -> dict[str, int]:
    """Components, those the certificate holds, those with truth, and of these the right ones."""
    known = looked.view.truth != IGNORE
    return {
        "all": int(known.size),
        "held": int(np.count_nonzero(looked.held != ABSTAIN)),
        "known": int(np.count_nonzero(known)),
        "right": int(np.count_nonzero(looked.right)),
    }


def _points(labels: NDArray[Any], ignore: int | None = None) -> str:
    """Labels (N,) as label_plane stores them, as 16-bit numbers."""
    values = labels.astype(np.int64) + SHIFT
    values[labels == ABSTAIN] = 1
    if ignore is not None:
        values[labels == ignore] = 0
    return raw(values, "<u2")
