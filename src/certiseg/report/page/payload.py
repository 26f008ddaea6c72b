"""Data of one sample for the page: images, label maps, vote counts and a table of radii."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from certiseg.datasets.card import IGNORE
from certiseg.report.page.encoding import labels_png, labels_raw, numbers_png, photograph, raw
from certiseg.report.page.evidence import evidence_table
from certiseg.report.summary import SampleSummary, contains
from certiseg.report.volume import Slices, flat
from certiseg.votes import ABSTAIN


def shared_payload(sample: SampleSummary) -> dict[str, Any]:
    """Data common to all runs: the input and its truth. slices: of a volume, where they are."""
    view = sample.view
    common: dict[str, Any] = {"name": sample.kept.planned.name, "size": list(view.size)}
    if view.truth.ndim == 1:
        return {
            **common,
            "points": raw(view.x[:3].T, "<f4"),
            "truth": labels_raw(view.truth, IGNORE),
        }
    if view.truth.ndim == 3:
        common["slices"] = asdict(Slices.of(view.size))
    pixels, truth = flat(view.x, view.size, 255), _flat_labels(sample, view.truth)
    return {
        **common,
        "size": list(truth.shape),
        "photo": photograph(pixels),
        "truth": labels_png(truth, IGNORE),
    }


def run_payload(sample: SampleSummary) -> dict[str, Any]:
    """Data of one run for the sample.

    clean, draw, own: labels of the base model on the input and under one draw, and of the
    certificate. mode, hits, table: most frequent labels, their votes and ``radius_table``; or
    whyNot, the reason why there is no radius map. evidence, levels: ``evidence_table``, and the
    level of each component if there are several.
    """
    view, radii = sample.view, sample.radii
    certificate = sample.certificate
    cloud = view.truth.ndim == 1

    def labels(values: NDArray[Any]) -> str:
        return labels_raw(values) if cloud else labels_png(_flat_labels(sample, values))

    def counts(values: NDArray[Any]) -> str:
        full = view.full(values)
        return raw(full, "<u4") if cloud else numbers_png(flat(full, view.size, 0))

    evidence, levels = evidence_table(sample)
    found: dict[str, Any] = {
        "clean": labels(view.labels["base_clean"]),
        "draw": labels(view.labels["base_noise"]),
        "own": labels(sample.certified),
        "trials": certificate.votes.trials,
        "alpha": certificate.alpha,
        "cells": list(certificate.labels.shape) if certificate.labels.shape != view.size else None,
        "statement": certificate.statement(),
        "ownCounts": _counts(sample),
        "whyNot": sample.why_no_radii,
        "evidence": evidence,
    }
    if len(evidence["weights"]) > 1:
        found["levels"] = counts(levels)
    if cloud:
        found["noisyPoints"] = raw(view.noisy[:3].T, "<f4")
    else:
        found["noisy"] = photograph(flat(view.noisy, view.size, 255), noisy=True)
    if radii is not None:
        found["mode"] = labels(view.full(radii.labels))
        found["hits"] = counts(radii.hits)
        found["table"] = radius_table(sample)
        found["ownMap"] = radii.own
    return found


def _flat_labels(sample: SampleSummary, values: NDArray[Any]) -> NDArray[np.int64]:
    """Labels as an image, of a volume with gaps that abstain."""
    return flat(values.astype(np.int64), sample.view.size, ABSTAIN)


def radius_table(sample: SampleSummary) -> list[list[Any]]:
    """One row for each vote count that occurs, ascending: [votes, radius or None, components, those
    with truth, those of these whose label is right, radius as text].

    Radii are at full precision, so that the page compares as ``Certificate.at`` does.
    """
    view, radii = sample.view, sample.radii
    assert radii is not None
    hits = view.full(radii.hits).astype(np.int64)
    known = view.truth != IGNORE
    right = contains(view.full(radii.labels), view.truth, None)
    length, size = radii.trials + 1, sample.certificate.noise.size
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


def _counts(sample: SampleSummary) -> dict[str, int]:
    """Numbers of components: all, certified, with truth, and certified right."""
    known = sample.view.truth != IGNORE
    return {
        "all": int(known.size),
        "held": int(np.count_nonzero(sample.certified != ABSTAIN)),
        "known": int(np.count_nonzero(known)),
        "right": int(np.count_nonzero(sample.right)),
    }
