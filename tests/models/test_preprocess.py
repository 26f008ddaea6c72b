"""Preprocess does what the same steps by hand do, and gives the input's size back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from certiseg.errors import InputError
from certiseg.models.preprocess import Preprocess

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
X = torch.rand(2, 3, 24, 20, generator=torch.Generator().manual_seed(0))


def _by_hand(x: torch.Tensor) -> torch.Tensor:
    parts = [(x[:, c] - MEAN[c]) / STD[c] for c in range(3)]
    return torch.stack(parts, 1)


def test_normalises() -> None:
    net = nn.Conv2d(3, 5, 3, padding=1)
    torch.testing.assert_close(Preprocess(net, MEAN, STD)(X), net(_by_hand(X)))


def test_does_not_clip_noise() -> None:
    loud = X + 3
    torch.testing.assert_close(Preprocess(nn.Identity(), MEAN, STD)(loud), _by_hand(loud))


@pytest.mark.parametrize("options", [{"scale": 0.5}, {"size": (12, 10)}])
def test_resizes_there_and_back(options: dict) -> None:
    seen = []

    def model(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.shape)
        return x[:, :2, ::2, ::2]

    logits = Preprocess(model, **options)(X)
    assert seen == [(2, 3, 12, 10)]
    small = F.interpolate(X, size=(12, 10), mode="bilinear", align_corners=False)[:, :2, ::2, ::2]
    expected = F.interpolate(small, size=(24, 20), mode="bilinear", align_corners=False)
    torch.testing.assert_close(logits, expected)


def test_labels_are_never_blended() -> None:
    labels = Preprocess(lambda x: (x[:, 0] > 0.5).long() * 7, scale=0.5)(X)
    assert labels.shape == (2, 24, 20)
    assert set(labels.unique().tolist()) == {0, 7}


def test_reads_dict_and_logits() -> None:
    plain = Preprocess(lambda x: x)(X)
    torch.testing.assert_close(Preprocess(lambda x: {"out": x})(X), plain)
    torch.testing.assert_close(Preprocess(lambda x: SimpleNamespace(logits=x))(X), plain)
    with pytest.raises(InputError, match="got list"):
        Preprocess(lambda x: [x])(X)


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 0.5, "size": (3, 3)},
        {"scale": 0.0},
        {"std": (0.1, 0.0, 0.1)},
        {"mean": (0.1,), "std": (0.1, 0.2, 0.3)},
    ],
)
def test_bad_options(options: dict) -> None:
    with pytest.raises(InputError, match="expected"):
        Preprocess(nn.Identity(), **options)


def test_channels_are_not_broadcast() -> None:
    """Three means would make three channels of a grey picture."""
    model = Preprocess(nn.Conv2d(3, 2, 1), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    for channels in (1, 2):
        with pytest.raises(InputError, match="expected 3 channels"):
            model(torch.rand(1, channels, 4, 4))
    Preprocess(nn.Conv2d(3, 2, 1), mean=(0.5,))(torch.rand(1, 3, 4, 4))


def test_volumes_are_normalised_by_channel_and_not_resized():
    """As many slices as channels: along the first side the statistics would fit as well."""
    x = torch.rand(2, 2, 2, 3, 4)
    model = Preprocess(lambda given: given, mean=(0.2, 0.4), std=(0.5, 2.0))
    expected = torch.stack([(x[:, 0] - 0.2) / 0.5, (x[:, 1] - 0.4) / 2.0], dim=1)
    torch.testing.assert_close(model(x), expected)
    with pytest.raises(InputError, match="to resize, got shape"):
        Preprocess(lambda given: given, scale=0.5)(x)
