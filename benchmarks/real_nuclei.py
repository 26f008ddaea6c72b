"""What is ``certiseg:nuclei``, which learned from generated images, worth on a photomicrograph?

    pip install --no-deps stardist
    python benchmarks/real_nuclei.py

The package stardist carries one fluorescence image with its mask, from the 2018 Data Science Bowl
(Caicedo et al. 2019, Nature Methods 16). Only its two files are read.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

import certiseg as cs

PERCENTILES = (1, 99)
"""Intensities that become 0 and 1. Chosen beforehand: what is customary for such images."""


def main() -> None:
    spec = importlib.util.find_spec("stardist")
    if spec is None or spec.origin is None:
        raise SystemExit("expected the package stardist; pip install --no-deps stardist")
    folder = Path(spec.origin).parent / "data" / "images"
    raw = np.asarray(Image.open(folder / "img2d.tif"), dtype=np.float32)
    truth = np.asarray(Image.open(folder / "mask2d.tif")) > 0
    low, high = np.percentile(raw, PERCENTILES)
    x = np.clip((raw - low) / (high - low), 0, 1)[None]
    model = cs.load_model("certiseg:nuclei").model
    print("sigma | radius | certified | correct and certified | correct where certified | Dice")
    for sigma in (0.1, 0.25):
        smooth = cs.Smoothed(model, cs.Gaussian(sigma))
        labels = (cert := smooth.certify(x, num_samples=110, seed=2026)).labels
        known, right = labels != cs.ABSTAIN, labels == truth
        votes = cert.votes.counts.argmax(-1) == 1
        dice = 2 * np.sum(votes & truth) / (votes.sum() + truth.sum())
        share = (known.mean(), right.mean(), right.sum() / known.sum(), dice)
        print(f"{sigma} | {cert.radius:.4f} | " + " | ".join(f"{value:.4f}" for value in share))


if __name__ == "__main__":
    main()
