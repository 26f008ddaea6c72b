"""The loop on clouds: what it holds, how it goes through it, and that it learns under noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from certiseg.datasets.card import IGNORE, Card, Sample
from certiseg.datasets.solids import solids
from certiseg.errors import InputError
from certiseg.models.pointnet.network import PointNet2
from certiseg.models.pointnet.parts import PartSegmenter
from certiseg.training.cloud_noise import CloudNoise
from certiseg.training.cloud_settings import CloudSettings
from certiseg.training.clouds import (
    _batches,
    batches_an_epoch,
    fit_clouds,
    hold_clouds,
    validate_clouds,
)
from certiseg.training.descent import Means
from certiseg.training.randomness import Randomness
from tiny_pointnet import TINY

PARTS = {"lower": (0, 1), "upper": (2, 3), "whole": (4,)}


class Halves:
    """Clouds cut by a plane: its two sides are the parts, and which labels they have the category
    alone tells."""

    card = Card("halves", ("a", "b", "c", "d", "e"), ((0, 0, 0),) * 5, 3, "made up", "none", PARTS)

    def __init__(self, count: int, seed: int) -> None:
        self._count, self._seed = count, seed

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self._seed, index))
        x = rng.uniform(-0.6, 0.6, (3, 64)).astype(np.float32)
        name = list(PARTS)[index % 3]
        labels = np.where(x[1] > 0, PARTS[name][-1], PARTS[name][0]).astype(np.uint8)
        labels[0] = IGNORE
        return Sample(str(index), x, labels, name)


def _segmenter() -> PartSegmenter:
    torch.manual_seed(0)
    return PartSegmenter(PointNet2(TINY), list(PARTS), PARTS)


def _silent(done: int, epoch: float, loss: float, figures: object) -> None:
    pass


def test_clouds_are_held_as_they_are() -> None:
    samples, seen = solids("train", points=70, count=7), []
    held = hold_clouds(samples, lambda: seen.append(1))
    assert (len(held), len(seen)) == (7, 7)
    assert held.x.shape == (7, 6, 70)
    for index in range(7):
        sample = samples[index]
        assert np.array_equal(held.x[index], sample.x)
        assert np.array_equal(held.labels[index], sample.labels)
        assert list(samples.card.parts)[held.category[index]] == sample.category


@pytest.mark.parametrize(("clouds", "size"), [(2, 16), (16, 16), (17, 16), (33, 16), (50, 16)])
def test_every_cloud_once_an_epoch_and_none_alone(clouds: int, size: int) -> None:
    held = hold_clouds(Halves(clouds, 0))
    # The place of each cloud, found again by its own label pattern.
    held.labels[:] = torch.arange(clouds)[:, None]
    settings = CloudSettings(epochs=1, batch_size=size)
    batches = list(_batches(held, settings, Randomness(0)))
    assert len(batches) == batches_an_epoch(clouds, size)
    assert min(len(x) for x, _, _ in batches) >= 2
    assert max(len(x) for x, _, _ in batches) <= size + 1
    places = torch.cat([labels[:, 0] for _, labels, _ in batches])
    assert sorted(places.tolist()) == list(range(clouds))
    for x, labels, category in batches:
        assert torch.equal(category, held.category[labels[:, 0]])
        # Views are scaled by one factor and shifted by one vector.
        own = held.x[labels[:, 0]]
        scale = x.std(2) / own.std(2)
        assert (scale.amax(1) - scale.amin(1) < 1e-3).all()
        assert 0.79 < scale.min() <= scale.max() < 1.26


@pytest.mark.slow
def test_learns_under_noise_and_by_category_alone() -> None:
    train, val = hold_clouds(Halves(48, 0)), hold_clouds(Halves(24, 1))
    model = _segmenter()
    noise = CloudNoise("coordinates", 0.05)
    before = validate_clouds(model, val, noise, 0)
    settings = CloudSettings(epochs=15, batch_size=8, lr=1e-2, noise=noise)
    chosen = fit_clouds(model, train, val, settings, _silent, Means())
    model.load_state_dict(chosen.weights)
    after = validate_clouds(model, val, noise, 0)
    assert after.score == chosen.score
    # Points within 0.05 of the plane, a tenth of all, may be on either side; "whole" is free.
    assert after.accuracy > 0.85 > before.accuracy
    assert validate_clouds(model, val, noise, 1) != after


def test_same_seed_same_weights() -> None:
    data = hold_clouds(Halves(6, 0))
    weights = []
    for seed in (1, 1, 2):
        settings = CloudSettings(
            epochs=1, batch_size=3, seed=seed, noise=CloudNoise("rotation", 0.3)
        )
        model = _segmenter()
        torch.manual_seed(seed)
        fit_clouds(model, data, data, settings, _silent, Means())
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_labels_outside_the_category_stop_the_training() -> None:
    data = hold_clouds(Halves(6, 0))
    data.labels[:] = 4
    with pytest.raises(InputError, match="finite loss"):
        fit_clouds(
            _segmenter(), data, data, CloudSettings(epochs=1, batch_size=3), _silent, Means()
        )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 0}, "at least 1 epoch"),
        ({"batch_size": 1}, "batch of at least 2"),
        ({"lr": float("nan")}, "learning rate"),
        ({"seed": -1}, "seed"),
        ({"preset": "huge"}, "small, msg, got 'huge'"),
    ],
)
def test_bad_settings(changes: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        CloudSettings(**{"epochs": 1, **changes})
