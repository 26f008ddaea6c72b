"""What share is certified at equal draws, and how many draws buy an equal share, on real votes?

All methods on the same stored draws of the shipped CamVid network: 8 validation images spread
evenly, sigma = 0.25, tau = 0.75, alpha = 1e-3 an image. n counts all passes of a method, those that
choose too. The first run draws 500 label maps an image, of pixels and of cells of 4 x 4 pixels
under the same noise, and stores them; later runs read them.

    python benchmarks/power.py --root camvid --votes votes --out benchmarks/results/power.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import certiseg as cs
from certiseg.certificates.grid import cell_pixels, upsample_nearest
from certiseg.certifiers.adaptive import adaptive, levels_from_margins
from certiseg.datasets.camvid import camvid
from certiseg.datasets.card import Samples
from certiseg.datasets.subset import subsample
from certiseg.files.atomic import output_folder
from certiseg.models.grid import OnGrid
from certiseg.models.serialization import load_bundled
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory
from certiseg.sampling.progress import draws_bar
from compared_methods import (
    ALPHA,
    CELLS,
    NOISE,
    PIXELS,
    SELECTION,
    TAU,
    Labels,
    compared,
    stopping,
)
from power_tables import (
    Gathered,
    add,
    base_models,
    hierarchies,
    markdown,
    passes_needed,
    shares,
    stopped,
)
from stored_draws import StoredDraws, stored_draws

IMAGES, DRAWS, SEED, STRIDE = 8, 500, 2026, 4
SHOWN = (50, 60, 75, 100, 150, 200, 300, 500)
FINE = (*range(50, 200, 5), *range(200, DRAWS + 1, 10))
BUDGETS = tuple(sorted({*SHOWN, *range(80, 200, 20), *range(250, DRAWS + 1, 50)}))
TARGETS, ACCURACY_AT, TESTED, SINGLE = (100, 300), 100, 100, 10
TREE = cs.load_hierarchy("camvid")
THRESHOLDS = {
    "Cityscapes": (0.0, 0.0, 0.25),
    "ACDC": (0.0, 0.05, 0.3),
    "Pascal Context": (0.0, 0.1, 0.4),
    "COCO-Stuff": (0.0, 0.3, 0.7),
}
"""As the configurations of AdaptiveCertify's code have them, for trees as deep as CamVid's here."""


def images(
    samples: Samples, folder: Path
) -> Iterator[tuple[NDArray[np.uint8], dict[str, StoredDraws]]]:
    """Truth and draws of each image; all are drawn before the first is given."""
    model = load_bundled("camvid")
    smooth = {
        PIXELS: cs.Smoothed(model, NOISE),
        CELLS: cs.Smoothed(OnGrid(model, STRIDE), NOISE, output_grid=True),
    }
    output_folder(folder)

    def draws_of(index: int, on: str, advance: Any) -> StoredDraws:
        sample = samples[index]
        path, x = folder / f"{sample.name}-{on}.npz", torch.as_tensor(sample.x)
        return stored_draws(path, smooth[on], x, DRAWS, SEED, SELECTION, advance)

    with draws_bar(True, len(samples) * len(smooth) * DRAWS) as advance:
        for index in range(len(samples)):
            for on in smooth:
                draws_of(index, on, advance)
    for index in range(len(samples)):
        yield samples[index].labels, {on: draws_of(index, on, lambda done: None) for on in smooth}


def measure(truth: NDArray[np.uint8], draws: dict[str, StoredDraws], out: Gathered) -> None:
    """Every method on one image."""
    for passes in FINE:
        for method in compared(TREE):
            # Looks at many budgets cost minutes; the other methods look once.
            if method.looks and passes not in SHOWN:
                continue
            found = method.attempt(draws[method.on], passes)
            labels = None if found is None else method.held(found)
            share = 0.0 if labels is None else float((labels != cs.ABSTAIN).mean())
            out.share[method.name, passes].append(share)
            if passes == ACCURACY_AT and found is not None and labels is not None:
                add(out.accuracy, method.name, confusion(truth, labels, found))
    for method in stopping():
        for passes in BUDGETS:
            found = method.attempt(draws[method.on], passes)
            used = passes if found is None else found.votes.trials
            share = 0.0 if found is None else float(found.certified.mean())
            out.stopped[method.name, passes].append((share, used))
    for on, stored in draws.items():
        single = upsample_nearest(stored.labels[:SINGLE], truth.shape)
        known = np.broadcast_to(truth, single.shape)
        add(out.base, f"{on}, one draw", count(known, single))
        voted = upsample_nearest(stored.votes(0, ACCURACY_AT).mode(), truth.shape)
        add(out.base, f"{on}, mode of {ACCURACY_AT}", count(truth, voted))
    for name, certificate in trees(draws[PIXELS]):
        classes = classes_only(certificate.labels)
        both = [float((labels != cs.ABSTAIN).mean()) for labels in (certificate.labels, classes)]
        out.nodes[name].append((both[0], both[1]))
        add(out.gain, name, cs.InformationGain.count(truth, certificate.labels, TREE))
        add(out.node_accuracy, name, confusion(truth, classes, certificate))


def trees(draws: StoredDraws) -> Iterator[tuple[str, cs.Certificate]]:
    """Flat and hierarchical certificates from the same 10 + 100 passes."""
    everything, chosen = draws.votes(0, SELECTION + TESTED), draws.votes(0, SELECTION)
    tested = draws.votes(SELECTION, SELECTION + TESTED)
    task: dict[str, Any] = {"noise": NOISE, "tau": TAU, "alpha": ALPHA}
    for correction in ("bonferroni", "holm"):
        yield (
            f"flat, split, {correction}",
            cs.certify(tested, correction=correction, selection_votes=chosen, **task),
        )
    yield "flat, pooled, holm", cs.certify(everything, **task)
    yield "hierarchy, pooled, holm", cs.hierarchical(everything, hierarchy=TREE, **task)
    for source, thresholds in THRESHOLDS.items():
        for correction in ("bonferroni", "holm"):
            yield (
                f"AdaptiveCertify, {correction}, {thresholds} of {source}",
                adaptive(
                    tested,
                    hierarchy=TREE,
                    selection_votes=chosen,
                    levels=levels_from_margins(draws.margins, thresholds, TREE),
                    correction=correction,
                    **task,
                ),
            )


def classes_only(labels: Labels) -> Labels:
    """ABSTAIN for groups of classes."""
    return np.where(labels < TREE.num_classes, labels, cs.ABSTAIN)


def confusion(
    truth: NDArray[np.uint8], labels: Labels, certificate: cs.Certificate
) -> cs.Confusion:
    """Pixels; a false cell is false in all of its pixels, and a budget counts cells."""
    pixels = cell_pixels(labels.shape, truth.shape)
    full = upsample_nearest(classes_only(labels), truth.shape)
    return count(truth, full, certificate.allowed_errors * pixels)


def count(truth: NDArray[np.uint8], labels: NDArray[np.integer], allowed: int = 0) -> cs.Confusion:
    return cs.Confusion.count(truth, labels, TREE.num_classes, allowed=allowed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of CamVid")
    parser.add_argument("--votes", type=Path, required=True, help="folder for the draws")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    keep_freed_memory()
    gathered = Gathered()
    data = camvid(options.root, "val")
    samples = subsample(data, IMAGES)
    for truth, draws in images(samples, options.votes):
        measure(truth, draws, gathered)
    fixed, early = compared(TREE), stopping()
    found = {
        "certified share": shares(gathered, fixed, SHOWN, ACCURACY_AT),
        "passes needed": passes_needed(gathered, fixed, early, TARGETS),
        "stopped where the next look promises too little: share, and mean passes": stopped(
            gathered, early, SHOWN[3:]
        ),
        f"{SELECTION} + {TESTED} passes": hierarchies(gathered),
        f"without certificates; one draw: over the first {SINGLE}": base_models(gathered),
    }
    for title, rows in found.items():
        print(markdown(title, rows))
    result = {
        "question": __doc__.splitlines()[0],
        "data": f"CamVid val, {len(samples)} of {len(data)} images, evenly spread",
        "task": {
            "model": "certiseg:camvid",
            "sigma": NOISE.sigma,
            "tau": TAU,
            "alpha": ALPHA,
            "seed": SEED,
            "stride of cells": STRIDE,
            "hierarchy": TREE.name,
        },
        **found,
        "made_with": environment(
            "python benchmarks/power.py --root camvid --votes votes "
            "--out benchmarks/results/power.json",
            None,
        ),
    }
    if options.out:
        output_folder(options.out.parent)
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
