"""Does any of 10 000 rotations within the certified angle flip a certified point of PointNet++?

One held-out cloud is certified under random rotations. Then, from fresh draws at the cloud itself,
the smoothed model's probabilities at every rotation Q of an attack are estimated without another
pass: the law at Q x is that at x with density ratio g(angle of T Q^-1) / g(angle of T) (theory
T11), so the labels that were drawn at x are weighted anew. Half of the rotations are by the radius,
the others by angles within it. A point is flipped where the estimate for its certified label lies
below 1/2 by more than 6 standard errors. The same attack at three times the radius is the negative
control.

    python benchmarks/rotation_attack.py --out benchmarks/results/rotation_attack.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import certiseg as cs
from certiseg.datasets.solids import solids
from certiseg.models.serialization import load_bundled
from certiseg.rounding import down, up
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory
from certiseg.sampling.keys import generator
from certiseg.sampling.noise_samplers import drawn_rotation

NOISE = cs.Rotation(0.25)
TAU, ALPHA = 0.75, 1e-3
ERRORS = 6.0


def draws(
    smooth: cs.Smoothed, x: torch.Tensor, count: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rotations (count, 3, 3) and the labels (count, N) that the base model gave under each."""
    labels: list[NDArray[np.int64]] = []
    smooth.vote(x, count, seed=seed, key="attack", batch_size=16, watch=labels.append)
    turns = [drawn_rotation(NOISE, generator(seed, "attack", draw)) for draw in range(count)]
    return np.array(turns), np.concatenate(labels)


def attack(count: int, radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Rotations (count, 3, 3) about random axes: half by the radius, half by angles within."""
    axes = rng.standard_normal((count, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angles = radius * np.where(np.arange(count) % 2, 1.0, rng.uniform(size=count))
    x, y, z = (axes * angles[:, None]).T
    zero = np.zeros(count)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return torch.linalg.matrix_exp(torch.from_numpy(cross)).numpy()


def log_density(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """log g of the angles of rotations (..., 3, 3), up to a constant."""
    cosine = np.clip((np.trace(turns, axis1=-2, axis2=-1) - 1) / 2, -1, 1)
    # Near the identity the trace loses the angle; there the second factor of g is 1.
    angle = np.arccos(cosine)
    ratio = np.where(angle > 1e-4, angle**2 / (2 * np.maximum(1 - cosine, 1e-12)), 1.0)
    return -(angle**2) / (2 * NOISE.sigma**2) + np.log(ratio)


def flipped(
    turns: NDArray[np.float64],
    labels: NDArray[np.int64],
    certificate: cs.Certificate,
    rotations: NDArray[np.float64],
) -> dict[str, float]:
    """Pairs of a rotation and a certified point whose label is lost, and the worst estimate."""
    points = np.flatnonzero(certificate.certified)
    kept = (labels[:, points] == certificate.labels[points]).astype(np.float32)
    own = log_density(turns)
    lost, worst, highest = 0, 1.0, 0.0
    for some in np.array_split(rotations, max(1, len(rotations) // 250)):
        # T Q^-1 for all pairs; the inverse of a rotation is its transpose.
        pairs = np.einsum("nij,mkj->mnik", turns, some)
        weights = np.exp(log_density(pairs) - own).astype(np.float32)
        share = weights @ kept / len(turns)
        square = (weights**2) @ kept / len(turns)
        error = np.sqrt(np.maximum(square - share**2, 0) / len(turns))
        lost += int(np.count_nonzero(share + ERRORS * error < 0.5))
        worst, highest = min(worst, float(share.min())), max(highest, float(error.max()))
    return {
        "flipped pairs": lost,
        "smallest estimate": float(down(worst)),
        "largest standard error": float(up(highest)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rotations", type=int, default=10_000)
    parser.add_argument("--draws", type=int, default=1000, help="Of the certificate.")
    parser.add_argument("--attack-draws", type=int, default=2000)
    parser.add_argument("--cloud", type=int, default=0, help="Number in the test split.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    keep_freed_memory()
    sample = solids("test", normals=False)[options.cloud]
    model = load_bundled("solids-rotation").of(sample.category)  # type: ignore[operator]
    smooth = cs.Smoothed(model, NOISE, value_range=None)
    x = torch.from_numpy(sample.x)
    certificate = smooth.certify(x, options.draws, TAU, ALPHA, seed=1)
    turns, labels = draws(smooth, x, options.attack_draws, seed=2)
    rng = np.random.default_rng(3)
    result = {
        "question": __doc__.splitlines()[0],
        "cloud": sample.name,
        "certified points": int(certificate.certified.sum()),
        "of": int(certificate.labels.size),
        "radius (rad)": certificate.radius,
        "rotations": options.rotations,
        "draws of the certificate": options.draws,
        "draws of the attack": options.attack_draws,
        "within the radius": flipped(
            turns, labels, certificate, attack(options.rotations, float(certificate.radius), rng)
        ),
        "at three times the radius (control)": flipped(
            turns, labels, certificate, attack(1000, 3 * float(certificate.radius), rng)
        ),
        "made_with": environment("python benchmarks/rotation_attack.py", None),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
