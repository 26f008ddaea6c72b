"""What do windows of a volume cost, and how much of a certificate stands beyond its radius?

    python benchmarks/windows_volume.py --side 192 -n 100 --seed 2026

A small 3-D U-Net is trained under noise on synthetic volumes (bright lesions inside organs, and
vessels that look like them outside) and certifies another one: whole, and in windows CORE:MARGIN.
Prints JSON: windows and voxels computed, seconds a draw, what one noisy pass gets right (share of
voxels, mean IoU), certified share, the largest norm of a perturbation that stays below R in each
window, in units of R, and the share of certified labels that stands under every perturbation of
norm F times R (theory T17).
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor, nn

import certiseg as cs
from certiseg.certificates.windows import Losses, Span

SIGMA = 0.25
_FACTORS = (1.0, 1.5, 2.0, 3.0, 4.0)
_CLASSES, _LEVELS = 3, (0.3, 0.5, 0.75)
"""Background, organ, lesion, and their grey values. Vessels are background as bright as lesions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=192, help="A multiple of 8.")
    parser.add_argument("--windows", nargs="+", default=["96:16", "64:16", "48:24"])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--crop", type=int, default=64, help="Side of the crops of the training.")
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=2026)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    started = time.perf_counter()
    model = trained(rng, given.steps, given.crop)
    record: dict[str, Any] = {
        "command": " ".join(sys.argv),
        "machine": f"{platform.machine()}, {platform.system()}, {torch.get_num_threads()} threads",
        "training_seconds": round(time.perf_counter() - started, 1),
        "sigma": SIGMA,
        "factors": _FACTORS,
    }
    x, labels = volume(rng, given.side)
    for window in ("whole", *given.windows):
        base: nn.Module = model
        if window != "whole":
            core, margin = map(int, window.split(":"))
            base = cs.Windows(model, core, margin)
        record[window] = measured(base, x, labels, given.n, given.seed)
        print(window, record[window], file=sys.stderr)
    print(json.dumps(record, indent=1))


def volume(rng: np.random.Generator, side: int) -> tuple[Tensor, NDArray[np.int64]]:
    """An image (1, side, side, side) in [0, 1] of organs, lesions and vessels, and its labels."""
    labels = np.zeros((side,) * 3, dtype=np.int64)
    image = np.full(labels.shape, _LEVELS[0], dtype=np.float32)
    for _ in range(max(1, round(8 * (side / 96) ** 3))):
        _ball(rng, labels, image, rng.uniform(10, 24, 3), label=1, on=0)
    for _ in range(max(2, round(24 * (side / 96) ** 3))):
        _ball(rng, labels, image, rng.uniform(3, 6, 3), label=2, on=1)
        # A vessel: long, outside organs, and bright.
        _ball(rng, labels, image, rng.permutation([3.0, 4.0, 16.0]), label=0, on=0)
    image = ndimage.gaussian_filter(image, 0.7)
    uneven = ndimage.zoom(rng.normal(0, 0.04, (4, 4, 4)), side / 4, order=1).astype(np.float32)
    return torch.from_numpy(np.clip(image + uneven, 0, 1))[None], labels


def _ball(
    rng: np.random.Generator,
    labels: NDArray[np.int64],
    image: NDArray[np.float32],
    radii: NDArray[np.float64],
    *,
    label: int,
    on: int,
) -> None:
    """Draw an ellipsoid around a random place where the labels are ``on``."""
    centre = rng.integers(0, labels.shape[0], 3)
    while labels[tuple(centre)] != on:
        centre = rng.integers(0, labels.shape[0], 3)
    box = tuple(
        slice(max(0, int(c - r)), int(c + r) + 2) for c, r in zip(centre, radii, strict=True)
    )
    grids = np.ogrid[tuple(slice(b.start, min(b.stop, labels.shape[0])) for b in box)]
    far = sum(((g - c) / r) ** 2 for g, c, r in zip(grids, centre, radii, strict=True))
    inside = (far < 1) & (labels[box] == on)
    labels[box][inside] = label
    image[box][inside] = _LEVELS[label] if label != on else _LEVELS[2]


class UNet3d(nn.Module):
    """Three scales from half the resolution down, and logits at full resolution."""

    kind = "volumes"

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv3d(1, 8, 2, 2)
        self.fine, self.middle, self.coarse = _pair(8, 8), _pair(8, 16), _pair(16, 24)
        self.middle_up, self.fine_up = _pair(40, 16), _pair(24, 8)
        self.out = nn.ConvTranspose3d(8, _CLASSES, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        def up(y: Tensor) -> Tensor:
            return nn.functional.interpolate(y, scale_factor=2.0)

        fine = self.fine(self.patches(x - 0.5))
        middle = self.middle(nn.functional.max_pool3d(fine, 2))
        coarse = self.coarse(nn.functional.max_pool3d(middle, 2))
        middle = self.middle_up(torch.cat([up(coarse), middle], 1))
        logits: Tensor = self.out(self.fine_up(torch.cat([up(middle), fine], 1)))
        return logits


def _pair(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(before, after, 3, padding=1),
        nn.BatchNorm3d(after),
        nn.ReLU(),
        nn.Conv3d(after, after, 3, padding=1),
        nn.BatchNorm3d(after),
        nn.ReLU(),
    )


def trained(rng: np.random.Generator, steps: int, crop: int) -> UNet3d:
    """A network trained under noise, each step on a volume of its own."""
    model = UNet3d().train()
    rate = 4e-3
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    # Lesions are rare.
    weight = torch.tensor([1.0, 1.5, 4.0])
    for step in range(steps):
        x, labels = volume(rng, crop)
        noisy = x[None] + SIGMA * torch.randn(1, *x.shape)
        loss = nn.functional.cross_entropy(model(noisy), torch.from_numpy(labels)[None], weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.3f}", file=sys.stderr)
    return model.eval()


def measured(
    model: Callable[..., Any], x: Tensor, labels: NDArray[np.int64], n: int, seed: int
) -> dict[str, Any]:
    """The figures of one model on one volume."""
    smooth = cs.Smoothed(model, cs.Gaussian(SIGMA), volumes=True)
    started = time.perf_counter()
    votes = smooth.vote(x, n, seed=seed, batch_size=2)
    seconds = (time.perf_counter() - started) / n
    made = cs.certify(votes, noise=smooth.noise)
    one = cs.Confusion.count(labels, smooth.predict_once(x, seed=seed), _CLASSES)
    held = int(made.certified.sum())
    losses = Losses(made, made.certified)
    record: dict[str, Any] = {
        "seconds_a_draw": round(seconds, 3),
        "one_draw_right": round(one.accuracy, 4),
        "one_draw_miou": round(one.miou, 4),
        "certified": round(held / made.labels.size, 4),
        "certified_and_right": round(float((made.labels == labels).mean()), 4),
        "stands": [round(1 - losses(f * float(made.radius)) / held, 4) for f in _FACTORS],
    }
    if isinstance(model, cs.Windows):
        tiling = model.tiling(3)
        sides = [tiling.axis(axis, length) for axis, length in enumerate(labels.shape)]
        seen = [sum(s.seen.stop - s.seen.start for s in spans) for spans in sides]
        record["windows"] = math.prod(map(len, sides))
        record["voxels_computed"] = round(math.prod(seen) / labels.size, 2)
        record["largest_norm"] = round(math.sqrt(math.prod(map(covering, sides))), 2)
    return record


def covering(spans: Sequence[Span]) -> int:
    """Smallest number of windows that cover an axis.

    So much energy can lie on it with no more than 1 in any window: by the duality of covering and
    packing for intervals, and for boxes as products of both solutions.
    """
    count = reached = 0
    while reached < spans[-1].seen.stop:
        count += 1
        reached = max(s.seen.stop for s in spans if s.seen.start <= reached)
    return count


if __name__ == "__main__":
    main()
