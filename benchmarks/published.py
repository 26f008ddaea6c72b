"""The published way of certifying a segmentation, step by step, as a baseline to measure against.

Written anew after the scripts of Fischer, Baader and Vechev 2021 for images; each step says what it
mirrors. Two things are not mirrored, on purpose: the noise that they share within a batch
(docs/theory.md, "Faults found in published code", 1), and the normalisation on the host, which here
is part of the model on both sides. It is slow because the original is; do not improve it.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor
from torch.nn import functional

from certiseg.bench.timing import wait
from certiseg.outputs.tensors import tensor_of
from certiseg.votes import ABSTAIN

NOISE, MODEL, DECIDE, TESTS, CORRECTION = (
    "noise on the host",
    "passes of the model",
    "full logits, exp, argmax, labels to the host",
    "counting and tests, a process pool",
    "correction",
)
Replay = Callable[[int], NDArray[np.float32]]
"""Draw number -> the noisy input (C, H, W) to use in place of the freshly drawn one."""


@dataclass
class Clock:
    """Seconds by step."""

    device: torch.device
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def of(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        wait(self.device)
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


def sample(
    model: Callable[[Tensor], Any],
    x: Tensor,
    draws: int,
    sigma: float,
    batch_size: int,
    num_classes: int,
    replay: Replay,
    clock: Clock,
) -> NDArray[np.int64]:
    """Labels (draws, H, W) of the base model under noise. x: (C, H, W) on the device to run on.

    Noise is drawn and added as published, which is what is timed; then the input of ``replay``
    takes its place, so that both ways see the same draws.
    """
    # The generator behind np.random.randn, and no other stream than its own.
    rng = np.random.RandomState(0)
    device, size = x.device, x.shape[1:]
    channels_last = np.ascontiguousarray(x.cpu().numpy().transpose(1, 2, 0)).astype(np.float64)
    out = []
    done = 0
    with torch.no_grad():
        while done < draws:
            count = min(draws - done, batch_size)
            with clock.of(NOISE):
                # float64 noise for each image of the batch, (H, W, C), on the host; then cast,
                # stacked and transposed.
                noisy = [
                    channels_last + sigma * rng.randn(*channels_last.shape) for _ in range(count)
                ]
                stacked = np.stack([one.astype(np.float32) for one in noisy])
                given = torch.from_numpy(stacked.transpose(0, 3, 1, 2))
            given = given.contiguous()
            for place in range(count):
                given[place] = torch.from_numpy(replay(done + place))
            with clock.of(MODEL):
                logits, _ = tensor_of(model(given.to(device)))
            with clock.of(DECIDE):
                # Logits of the whole batch at full size, exponentials of them, added up over the
                # scales (one here) in a tensor of zeros.
                total = torch.zeros((count, num_classes, *size), device=device)
                if logits.shape[2:] != size:
                    logits = functional.interpolate(
                        logits, size=size, mode="bilinear", align_corners=False
                    )
                total += logits.exp()
                # int64 labels to the host.
                out.append(total.argmax(dim=1).cpu().numpy())
            done += count
    return np.concatenate(out)


def certify(
    labels: NDArray[np.int64],
    selection: int,
    tau: float,
    alpha: float,
    num_classes: int,
    correction: str,
    clock: Clock,
) -> NDArray[np.int64]:
    """Labels (H, W) with ABSTAIN, from those of all draws (n0 + n, H, W), of which the first n0
    choose.

    correction: "holm" or "bonferroni".
    """
    flat = labels.reshape(len(labels), -1)
    with clock.of(TESTS):
        # One task a pixel, through a pool of as many processes as there are cores.
        tasks = [(flat[:, i], selection, num_classes, tau) for i in range(flat.shape[1])]
        with multiprocessing.Pool() as pool:
            found = pool.map(_test, tasks)
        chosen = np.array([label for label, _ in found])
        pvalues = np.array([pvalue for _, pvalue in found])
    with clock.of(CORRECTION):
        chosen[~rejected(pvalues, alpha, correction)] = ABSTAIN
    return chosen.reshape(labels.shape[1:])


def mode_and_hits(column: NDArray[np.int64], selection: int, num_classes: int) -> tuple[int, int]:
    """The most frequent label of the first draws, counted one by one, and its hits in the rest."""
    counts = np.zeros(num_classes)
    for i in range(selection):
        counts[column[i]] += 1
    label = int(np.argmax(counts))
    return label, int(np.sum(column[selection:] == label))


def pvalue(hits: int, draws: int, tau: float) -> float:
    """One pixel's test, by a call of its own."""
    return float(binomtest(hits, draws, tau, alternative="greater").pvalue)


def _test(task: tuple[NDArray[np.int64], int, int, float]) -> tuple[int, float]:
    column, selection, num_classes, tau = task
    label, hits = mode_and_hits(column, selection, num_classes)
    return label, pvalue(hits, len(column) - selection, tau)


def rejected(pvalues: NDArray[np.float64], alpha: float, correction: str) -> NDArray[np.bool_]:
    """Which hypotheses fall, by sorting: what statsmodels' ``multipletests`` does."""
    if correction == "bonferroni":
        return np.asarray(pvalues * len(pvalues) <= alpha)
    order = np.argsort(pvalues)
    fails = pvalues[order] > alpha / np.arange(len(pvalues), 0, -1)
    first = int(np.argmax(fails)) if fails.any() else len(pvalues)
    kept = np.zeros(len(pvalues), dtype=bool)
    kept[order[:first]] = True
    return kept
