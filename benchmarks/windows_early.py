"""How many passes are saved by windows that stop for themselves, and what does it cost?

    python benchmarks/windows_early.py --street CamVid --limit 3 --windows 60:32
    python benchmarks/windows_early.py --side 96 --windows 24:8 --clock

Early stopping with all windows drawn at every look, and with settled windows left out (theory T7).
Each input is drawn once, up to n; both ways and all rules of stopping then use these draws, which
are the same bits (tests/certifiers/test_left_out.py). Prints JSON: pixels (or voxels) computed, in
units of the input, their ratio, the certified share, and the share that is certified and right.
With --clock both are also drawn anew, in turn, for the ratio of their seconds. Street scenes of
CamVid, or a volume and its network as in windows_volume.py.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import certiseg as cs
from certiseg.certificates.windows import draws_by_window
from certiseg.certifiers.sequential import Sequential
from certiseg.datasets.card import IGNORE
from certiseg.runs.model import open_model
from certiseg.runs.samples import open_samples
from certiseg.sampling.experiment import DrawSource
from windows_volume import trained, volume

_WAYS = ("all", "left out")


class Stored:
    """A source of draws that were made before, in the steps of the planned looks."""

    def __init__(self, parts: list[cs.VoteCounts], cores: NDArray[np.int64]) -> None:
        self._parts, self._cores = list(parts), cores

    def sizes(self) -> tuple[int, int]:
        return self._parts[0].num_components, self._parts[0].num_classes

    def windows(self) -> NDArray[np.int64]:
        return self._cores

    def more(self, draws: int, left_out: Collection[int] = ()) -> cs.VoteCounts:
        votes = self._parts.pop(0)
        if not left_out:
            return votes
        assert votes.source is not None
        counts = np.where(np.isin(self._cores, list(left_out))[..., None], 0, votes.counts)
        return cs.VoteCounts(counts, draws, replace(votes.source, left_out=True))


class AllWindows:
    """A source of draws of which no window can be left out."""

    def __init__(self, source: DrawSource | Stored) -> None:
        self._source = source

    def sizes(self) -> tuple[int, int]:
        return self._source.sizes()

    def more(self, draws: int) -> cs.VoteCounts:
        return self._source.more(draws)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--street", help="Root of CamVid; default: a volume.")
    parser.add_argument("--model", default="certiseg:camvid")
    parser.add_argument("--limit", type=int, default=5)
    parser.add_argument("--side", type=int, default=128, help="Of the volume; a multiple of 8.")
    parser.add_argument("--steps", type=int, default=300, help="Of the training on volumes.")
    parser.add_argument("--windows", nargs="+", default=["32:16"], help="CORE:MARGIN.")
    parser.add_argument("-n", type=int, default=500)
    parser.add_argument("--min-gain", type=float, nargs="+", default=[0.0, 0.001, 0.01])
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--clock", action="store_true", help="Draw both ways anew, and time them.")
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    model, inputs = opened(given)
    record: dict[str, Any] = {
        "command": " ".join(sys.argv),
        "machine": f"{platform.machine()}, {platform.system()}, {torch.get_num_threads()} threads",
        "inputs": len(inputs),
        "rows": [],
    }
    for window in given.windows:
        core, margin = map(int, window.split(":"))
        smooth = cs.Smoothed(cs.Windows(model, core, margin).eval(), cs.Gaussian(0.25))
        figures = [compared(smooth, x, labels, given) for x, labels in inputs]
        for number, gain in enumerate(given.min_gain):
            of_gain = [rows[number] for rows in figures]
            means = {k: round(float(np.mean([f[k] for f in of_gain])), 4) for k in of_gain[0]}
            record["rows"].append({"windows": window, "min_gain": gain, **means})
            print(record["rows"][-1], file=sys.stderr)
    print(json.dumps(record, indent=1))


def opened(given: argparse.Namespace) -> tuple[nn.Module, list[tuple[Any, NDArray[Any]]]]:
    """The base model, and inputs with their labels."""
    if given.street is None:
        rng = np.random.default_rng(given.seed)
        return trained(rng, given.steps, 64), [volume(rng, given.side)]
    loaded = open_model(given.model)
    samples = open_samples(loaded, data="camvid", root=given.street, split="val", limit=given.limit)
    inputs = [(samples[i].x, samples[i].labels) for i in range(len(samples))]
    assert isinstance(loaded.model, nn.Module)
    return loaded.model, inputs


def compared(
    smooth: cs.Smoothed, x: Any, labels: NDArray[Any], given: argparse.Namespace
) -> list[dict[str, float]]:
    """Figures of one input for each min_gain."""
    source = smooth.source(x, seed=given.seed)
    cores = source.windows()
    assert cores is not None
    plan = Sequential().plan(labels.size, given.n)
    steps = np.diff([0, *(trials for trials, _ in plan)]).tolist()
    parts = [source.more(step).copy() for step in steps]
    spans = smooth.model.tiling(labels.ndim).spans(labels.shape)  # type: ignore[attr-defined]
    sizes = np.array([math.prod(s.seen.stop - s.seen.start for s in sides) for sides in spans])
    rows = []
    for gain in given.min_gain:
        found: dict[str, float] = {}
        for name in _WAYS:
            stored = Stored(parts, cores)
            options = {"noise": smooth.noise, "num_samples": given.n, "min_gain": gain or None}
            way = stored if name == "left out" else AllWindows(stored)
            cert = cs.sequential(way, **options)  # type: ignore[arg-type]
            cs.verify(cert)
            drawn = draws_by_window(cert.votes)
            passes = cert.votes.trials if drawn is None else drawn
            right = (cert.labels == labels)[labels != IGNORE]
            found |= {
                f"{name}: computed": float((sizes * passes).sum()) / labels.size,
                f"{name}: certified": 1 - cert.abstention,
                f"{name}: certified and right": float(right.mean()),
            }
            if given.clock:
                anew = smooth.source(x, seed=given.seed)
                started = time.perf_counter()
                cs.sequential(
                    anew if name == "left out" else AllWindows(anew),
                    **options,  # type: ignore[arg-type]
                )
                found[f"{name}: seconds"] = time.perf_counter() - started
        for what in ("computed", *(["seconds"] if given.clock else [])):
            found[f"ratio of {what}"] = found[f"left out: {what}"] / found[f"all: {what}"]
        rows.append(found)
    return rows


if __name__ == "__main__":
    main()
