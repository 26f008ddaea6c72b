"""Default batch sizes: many draws of small inputs on a CPU, few that have to be filled up."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn

import certiseg as cs
from certiseg.sampling import batching
from certiseg.sampling.batching import fitting_batch

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("mib", "size"), [(0.01, 32), (2, 32), (6, 10), (16, 4), (40, 4), (300, 3), (2000, 1)]
)
def test_a_cpu_takes_more_draws_of_small_inputs(mib, size, monkeypatch):
    monkeypatch.setattr(batching, "free_memory", lambda device: 2**33)
    needed = int(mib * 2**20)
    assert fitting_batch(needed, CPU, components=2**16 - 1) == size
    assert fitting_batch(needed, CPU, components=2**16) == min(size, 4)
    # Looks are filled up to whole batches, which would be wasted.
    assert fitting_batch(needed, CPU, components=1, padded=True) == min(size, 4)


def test_memory_limits_every_batch(monkeypatch):
    monkeypatch.setattr(batching, "free_memory", lambda device: 2**24)
    assert fitting_batch(2**21, CPU, components=1) == 4
    assert fitting_batch(2**22, CPU, components=1) == 2
    few, many = (partial(fitting_batch, 2**18, GPU, components=1, padded=p) for p in (True, False))
    assert few() == many() == 32
    monkeypatch.setattr(batching, "free_memory", lambda device: 2**33)
    assert (few(), many()) == (32, 128)


def test_votes_of_small_images_are_drawn_in_large_batches_and_looks_in_small_ones():
    torch.manual_seed(0)
    smooth = cs.Smoothed(nn.Conv2d(3, 3, 3, padding=1).eval(), cs.Gaussian(0.25))
    x = torch.rand(3, 16, 16)
    votes = smooth.vote(x, 100, seed=0)
    assert votes.source.batch_sizes == (25,)
    assert smooth.source(x, seed=0).more(60).source.batch_sizes == (4,)
    few = smooth.vote(x, 100, seed=0, batch_size=4)
    assert (few.counts != votes.counts).mean() < 0.01
