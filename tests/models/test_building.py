"""Networks that a file describes: sizes that ask for all memory, or for no end."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from certiseg.errors import InputError
from certiseg.models.building import Bounded
from certiseg.models.serialization import load_bundled, load_folder, to_bytes


def test_what_the_weights_ask_for_passes() -> None:
    with Bounded("card", 4 * 1000):
        net = nn.Sequential(nn.Linear(2000, 2000), nn.BatchNorm1d(2000))
    assert net(torch.rand(2, 2000)).shape == (2, 2000)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Conv2d(2**16, 2**16, 3),
        lambda: nn.Linear(3, 4294967296),
        lambda: nn.Linear(2**40, 2**40),
        lambda: torch.zeros(2**40),
        lambda: torch.arange(2**40),
        lambda: torch.arange(2**20)[:, None] * torch.arange(2**20),
        lambda: torch.stack(torch.meshgrid([torch.arange(2**20)] * 2, indexing="ij")),
        lambda: [nn.Linear(1, 1) for _ in range(10**9)],
    ],
)
@pytest.mark.slow
def test_more_is_refused_before_it_is_made(make: Any) -> None:
    with pytest.raises(InputError, match="card: expected a network as large"), Bounded("card", 4):
        make()


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("certiseg:camvid", {"widths": [16, 24, 32, 4294967296]}),
        ("certiseg:camvid", {"num_classes": 4294967296}),
        ("certiseg:camvid-denoiser", {"widths": [16, 24, 4294967296]}),
        ("certiseg:camvid-denoiser", {"blocks": [1, 1, 10**9]}),
        ("certiseg:camvid-denoiser", {"channels": -1}),
        ("certiseg:camvid-denoiser", {"widths": []}),
        ("certiseg:camvid-denoiser", {"widths": "x"}),
        ("certiseg:camvid-denoiser", {"blocks": None}),
    ],
)
def test_cards_with_other_sizes_are_refused(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    model = load_bundled(name.partition(":")[2])
    weights = to_bytes(model.network)
    card = {**model.card, "architecture": {**model.card["architecture"], **changes}}
    card["weights"] = {**card["weights"], "sha256": hashlib.sha256(weights).hexdigest()}
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError) as caught:
        load_folder(tmp_path)
    assert "\n" not in str(caught.value)
