"""Pictures: views, class weights, consistency, and validation under fixed noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy
from torch import nn

from certiseg.datasets.card import IGNORE, Sample
from certiseg.datasets.folder import folder_card
from certiseg.errors import InputError
from certiseg.training.augment import AUGMENTATIONS, random_view
from certiseg.training.images import (
    ENTROPY,
    class_weights,
    consistency_loss,
    noisy_batches,
    validate,
)
from certiseg.training.loading import CachedSamples
from certiseg.training.randomness import Randomness
from certiseg.training.settings import TrainSettings

CARD = folder_card("toy", "3", channels=1)


class _One:
    """One picture, black."""

    card = CARD

    def __init__(self, labels: torch.Tensor) -> None:
        self._labels = labels.numpy()

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return Sample("one", np.zeros((1, *self._labels.shape), np.float32), self._labels)


def _held(labels: torch.Tensor) -> CachedSamples:
    return CachedSamples(_One(labels), 1)


@pytest.mark.parametrize("size", [(40, 50), (20, 70)])
def test_views_keep_picture_and_truth_together(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    labels = torch.zeros(size, dtype=torch.uint8)
    labels[:, : size[1] // 2] = 2
    image = torch.where(labels == 2, 255, 0).to(torch.uint8)[None].expand(3, -1, -1)
    for _ in range(20):
        view, target = random_view(image, labels, (24, 32), rng)
        assert view.shape == (3, 24, 32)
        assert target.shape == (24, 32)
        assert 0 <= view.min() <= view.max() <= 1
        # Bright where the truth says 2, but for the blended border column or two.
        agree = ((view[0] > 0.5) == (target == 2)).float().mean()
        assert agree > 0.9


@pytest.mark.parametrize("crop", [(24, 32), (15, 60), (30, 90)])
def test_views_never_stretch(crop: tuple[int, int]) -> None:
    """A picture smaller than the crop, or of another shape, is magnified alike both ways."""
    rng = np.random.default_rng(0)
    rows, columns = torch.meshgrid(torch.arange(20), torch.arange(70), indexing="ij")
    image = (50 + 2 * torch.stack([rows, columns])).to(torch.uint8)
    for _ in range(20):
        view, _ = random_view(image, torch.zeros(20, 70, dtype=torch.uint8), crop, rng)
        down = view[0].diff(dim=0).abs().median()
        across = view[1].diff(dim=1).abs().median()
        assert float(down / across) == pytest.approx(1, abs=0.1)


def test_views_invent_no_labels() -> None:
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.choice([0, 4, IGNORE], (30, 30)).astype(np.uint8))
    image = torch.zeros(1, 30, 30, dtype=torch.uint8)
    for _ in range(10):
        _, target = random_view(image, labels, (16, 48), rng)
        assert set(target.unique().tolist()) <= {0, 4, IGNORE}


def test_strong_views_are_images_and_keep_the_truth() -> None:
    """Cut-outs are ignored; elsewhere the brighter half stays the brighter one."""
    rng = np.random.default_rng(0)
    labels = torch.zeros(60, 80, dtype=torch.uint8)
    labels[:, 40:] = 2
    image = torch.where(labels == 2, 200, 50).to(torch.uint8)[None].expand(3, -1, -1)
    ignored, colours = 0, set()
    for _ in range(60):
        view, target = random_view(image, labels, (24, 32), rng, AUGMENTATIONS["strong"])
        assert view.shape == (3, 24, 32)
        assert 0 <= view.min() <= view.max() <= 1
        assert set(target.unique().tolist()) <= {0, 2, IGNORE}
        ignored += bool((target == IGNORE).any())
        colours.add(tuple((view[:, target == 0].mean(dim=1) * 20).int().tolist()))
        if (target == 0).any() and (target == 2).any():
            assert view[:, target == 2].mean() > view[:, target == 0].mean()
    assert 5 < ignored < 40
    assert len(colours) > 10


def test_some_views_are_clean() -> None:
    labels = torch.zeros(400, 400, dtype=torch.uint8)
    data = _held(labels)
    for consistency in (0.0, 5.0):
        settings = TrainSettings(0.25, clean=0.4, crop=(16, 16), batch_size=1, seed=1,
                                 consistency=consistency)  # fmt: skip
        chance = Randomness(settings.seed)
        stds = torch.cat(
            [
                x.flatten(1).std(dim=1)
                for _ in range(200)
                for x, _ in noisy_batches(data, settings, chance)
            ]
        )
        clean = stds < 1e-6
        assert 0.3 < clean.float().mean() < 0.5
        assert stds[~clean].min() > 0.2
        if consistency:
            assert torch.equal(clean[::2], clean[1::2])


def test_class_weights_have_mean_one_over_pixels() -> None:
    labelled = np.array([6, 1, 0])
    weights = class_weights(labelled, 0.5)
    assert weights[2] == 0
    assert float(weights[1] / weights[0]) == pytest.approx(6**0.5)
    assert float((6 * weights[0] + weights[1]) / 7) == pytest.approx(1)
    assert class_weights(labelled, 0.0)[:2].tolist() == pytest.approx([1, 1])


def test_unlabelled_data_is_refused() -> None:
    with pytest.raises(InputError, match="ignored ones only"):
        _held(torch.full((2, 2), IGNORE, dtype=torch.uint8)).label_counts()


class _Threshold(nn.Module):
    """Class 1 where the pixel is above 0.5."""

    def __init__(self) -> None:
        super().__init__()
        self.border = nn.Parameter(torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.border - x, x - self.border, torch.full_like(x, -9)], 1)


def test_validation_noise_is_fixed_and_has_the_stated_size() -> None:
    labels = torch.zeros(100, 100, dtype=torch.uint8)
    data = _held(labels)
    model = _Threshold()
    assert validate(model, data, 0.0, 0).accuracy == 1
    first = validate(model, data, 0.25, 0)
    assert first == validate(model, data, 0.25, 0)
    assert first != validate(model, data, 0.25, 1)
    # P(0.25 z <= 0.5) = Phi(2) = 0.97725; 10 000 pixels, fixed seed, 6 standard errors.
    assert first.accuracy == pytest.approx(0.97725, abs=0.009)
    assert not model.training


WEIGHT = 3.0


def _plainly(logits: np.ndarray) -> float:
    """Equation 7 of the source, component by component, with SciPy's divergences."""
    first, second = np.split(softmax(logits.astype(float), axis=1), 2)
    values = []
    for index in np.ndindex(first.shape[0], *first.shape[2:]):
        p, q = (a[index[0], (slice(None)), *index[1:]] for a in (first, second))
        mean = (p + q) / 2
        divergence = (entropy(mean, p) + entropy(mean, q)) / 2
        values.append(WEIGHT * divergence + ENTROPY * entropy(mean))
    return float(np.mean(values))


def test_is_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(6, 4, 3, 2, generator=generator)
    expected = _plainly(logits.numpy())
    assert abs(float(consistency_loss(logits, WEIGHT)) - expected) < 1e-5
    # Negative control: with other pictures paired the value is another.
    swapped = logits[[1, 2, 0, 3, 4, 5]]
    assert abs(float(consistency_loss(swapped, WEIGHT)) - expected) > 1e-2


def test_sure_and_alike_costs_nothing() -> None:
    sure = torch.zeros(2, 3, 4, 4)
    sure[:, 1] = 40.0
    assert float(consistency_loss(sure, WEIGHT)) < 1e-6
    torn = sure.clone()
    torn[1, 1], torn[1, 2] = 0.0, 40.0
    assert float(consistency_loss(torn, WEIGHT)) > 1.0
