"""Memory of votes: counts, the model's own pass and a batch, whatever the number of draws."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_SCRIPT = """
import sys
import torch
import certiseg as cs
# Not ru_maxrss, which starts at what the process that began this one held.
from certiseg.bench.memory import resident_peak
from certiseg.outputs.low_resolution import LowResolutionLogits
from certiseg.runs.malloc import keep_freed_memory

def peak():
    return resident_peak() // 2**20

draws, classes, height, width = map(int, sys.argv[1:5])
torch.manual_seed(0)
torch.set_num_threads(1)
conv = torch.nn.Conv2d(3, classes, 3, stride=4, padding=1).eval()
whole = sys.argv[5] == "whole"

def model(x):
    coarse = LowResolutionLogits(conv(x), (x.shape[2], x.shape[3]))
    return coarse.full() if whole else coarse

x = torch.rand(3, height, width)
with torch.inference_mode():
    conv(x[None])
before = peak()
size = None if sys.argv[7] == "None" else int(sys.argv[7])
if size != 1:
    keep_freed_memory()  # as all commands do
votes = cs.Smoothed(model, cs.Gaussian(0.25)).vote(x, draws, batch_size=size, seed=0)
print(peak() - before, peak())
if draws == 4:
    # As many draws as certify asks for, without making them.
    counts = votes.counts
    counts *= 25
    certificate = cs.certify(cs.VoteCounts(counts, 100), noise=cs.Gaussian(0.25))
    certificate.save(sys.argv[6])
    print(peak())
"""


def _megabytes(
    draws: int, classes: int, size: tuple[int, int], form="coarse", path="", batch: int | None = 1
) -> list[int]:
    options = [draws, classes, *size, form, path, batch]
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *map(str, options)],
        capture_output=True,
        text=True,
        check=True,
        # Numba, if installed, takes 160 MiB by itself.
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    return [int(word) for word in done.stdout.split()]


@pytest.mark.slow
def test_a_street_of_150_classes_fits_into_two_gibibytes(tmp_path):
    """1024 x 2048 x 150: votes, certificate and file. Logits at full size alone are 1200 MiB."""
    beyond, _, whole_run = _megabytes(4, 150, (1024, 2048), path=str(tmp_path / "a.npz"))
    assert whole_run < 2048
    # Counts 300, noise and its tiles 75, coarse logits 75, tiles of logits: all but the pass.
    assert beyond < 300 + 350


@pytest.mark.slow
def test_memory_does_not_grow_with_the_draws():
    """Peaks of two processes differ by up to 25 MiB; a megabyte held for each draw would be 57."""
    few, many = (_megabytes(draws, 20, (512, 512))[0] for draws in (3, 60))
    assert many < few + 50


@pytest.mark.slow
def test_full_size_logits_are_seen():
    """Negative control: the check above on a model that enlarges its logits itself."""
    assert _megabytes(2, 150, (1024, 2048), "whole")[1] > 300 + 1200


@pytest.mark.slow
def test_full_size_logits_are_held_once_by_default():
    """512 x 1024 x 150, as a command runs it: logits 300 MiB, counts 75, the rest of a process that
    votes about 80. A batch of two, or logits whose memory is not used again (both were so), would
    take 300 more. Negative control: a batch that is asked for."""
    logits, counts = 300, 75
    default, asked = (_megabytes(3, 150, (512, 1024), "whole", batch=size)[0] for size in (None, 2))
    assert default < logits + counts + 200
    assert asked > 2 * logits
