"""Denoise, then segment: noise before the denoiser, both in the fingerprint, nothing clean inside
(theory T13)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from certiseg import Gaussian, Smoothed
from certiseg.errors import InputError
from certiseg.models.denoise import TrainedDenoiser
from certiseg.models.denoised import Denoised, load_denoiser
from certiseg.models.resolve import load_model
from certiseg.models.serialization import KIND, to_bytes
from certiseg.runs.model import open_model
from certiseg.sampling.fingerprint import model_fingerprint

CARD: dict[str, Any] = {
    "kind": KIND,
    "name": "small",
    "architecture": {
        "class": "certiseg.models.denoise.SmallDenoiser",
        "channels": 3,
        "widths": [4, 6],
        "blocks": [0, 1],
    },
    "channels": 3,
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    data = to_bytes(TrainedDenoiser(CARD).network)
    card = {**CARD, "weights": {"sha256": hashlib.sha256(data).hexdigest()}}
    (tmp_path / "model.safetensors").write_bytes(data)
    (tmp_path / "card.json").write_text(json.dumps(card))
    return tmp_path


class _Average(nn.Module):
    """A denoiser: the mean of its pictures' neighbourhoods; keeps what it was given."""

    not_fingerprinted = ("seen",)

    def __init__(self, size: int = 5) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(size, stride=1, padding=size // 2, count_include_pad=False)
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x)
        return self.pool(x)


class _Bright(nn.Module):
    """Class 1 where the picture is brighter than the border."""

    num_classes = 2

    def __init__(self, border: float = 0.5) -> None:
        super().__init__()
        self.border = nn.Parameter(torch.tensor(border))

    def forward(self, x: Tensor) -> Tensor:
        above = x.mean(1, keepdim=True) - self.border
        return torch.cat([-above, above], 1)


def test_is_the_model_on_what_the_denoiser_returns() -> None:
    x = torch.rand(2, 3, 9, 9)
    denoiser, model = _Average(), _Bright()
    both = Denoised(denoiser, model)
    torch.testing.assert_close(both(x), model(denoiser(x)))
    assert both.num_classes == 2
    assert not Denoised(_Average().eval(), _Bright().eval()).training


def test_noise_is_added_before_the_denoiser_and_it_sees_nothing_else() -> None:
    x = torch.full((3, 8, 8), 0.7).numpy()
    denoiser = _Average()
    both = Denoised(denoiser, _Bright()).eval()
    smoothed = Smoothed(both, Gaussian(0.25), num_classes=2)
    denoiser.seen.clear()
    smoothed.vote(x, num_samples=5, batch_size=2, seed=1)
    # In batches of two, the last one filled up, the probe's at the end.
    assert [len(batch) for batch in denoiser.seen] == [2, 2, 2, 2]
    seen = torch.cat(denoiser.seen)[:5]
    drawn = torch.cat([torch.as_tensor(smoothed.noisy(x, seed=1, draw=j))[None] for j in range(5)])
    torch.testing.assert_close(seen, drawn)
    # Five noisy pictures, unclipped, and no clean one among all it saw.
    assert float(seen.max()) > 1
    everything = torch.cat(denoiser.seen)
    assert not any(torch.equal(picture, torch.from_numpy(x)) for picture in everything)
    # Negative control: noise after the denoiser, and what it sees is the clean picture.
    denoiser.seen.clear()
    restored = denoiser(torch.from_numpy(x)[None])[0]
    Smoothed(_Bright().eval(), Gaussian(0.25)).vote(restored, num_samples=5, seed=1)
    assert torch.equal(denoiser.seen[0][0], torch.from_numpy(x))


def test_votes_are_those_of_the_composition_and_denoising_helps() -> None:
    x = torch.full((3, 12, 12), 0.6).numpy()
    denoiser, model = _Average().eval(), _Bright().eval()
    noise = Gaussian(0.5)
    both = Smoothed(Denoised(denoiser, model), noise, num_classes=2)
    composed = Smoothed(lambda z: model(denoiser(z)), noise, num_classes=2)
    plain = Smoothed(model, noise, num_classes=2)
    counts = [s.vote(x, num_samples=20, seed=3).counts for s in (both, composed, plain)]
    assert (counts[0] == counts[1]).all()
    assert counts[0][..., 1].mean() > counts[2][..., 1].mean() + 2


def test_fingerprint_and_repr_cover_both() -> None:
    def of(size: int = 5, border: float = 0.5) -> str:
        return model_fingerprint(Denoised(_Average(size), _Bright(border)))[0]

    assert of() == of()
    assert len({of(), of(size=3), of(border=0.4)}) == 3
    text = repr(Denoised(_Average(), _Bright()))
    assert "_Average" in text
    assert "_Bright" in text

    # A function as denoiser counts too.
    def half(x: Tensor) -> Tensor:
        return x / 2

    def third(x: Tensor) -> Tensor:
        return x / 3

    model = _Bright()
    found = {model_fingerprint(Denoised(f, model))[0] for f in (half, third)}
    assert len(found) == 2


@pytest.mark.parametrize("part", ["denoiser", "model"])
def test_a_part_that_still_trains_is_an_error(part: str) -> None:
    denoiser = nn.Sequential(nn.BatchNorm2d(3)).eval()
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 2, 1)).eval()
    x = torch.rand(3, 8, 8)
    vote = {"num_samples": 2, "seed": 0}
    Smoothed(Denoised(denoiser, model), Gaussian(0.1), num_classes=2).vote(x, **vote)
    {"denoiser": denoiser, "model": model}[part].train()
    with pytest.raises(InputError, match="evaluation mode"):
        Smoothed(Denoised(denoiser, model), Gaussian(0.1), num_classes=2).vote(x, **vote)


def test_what_is_no_denoiser_or_no_picture() -> None:
    x = torch.rand(1, 3, 8, 8)
    with pytest.raises(InputError, match=r"keeps the shape \(1, 3, 8, 8\), got \(1, 2, 8, 8\)"):
        Denoised(_Bright(), _Bright())(x)
    with pytest.raises(InputError, match="got tuple"):
        Denoised(lambda z: (z, z), _Bright())(x)
    with pytest.raises(InputError, match="expected images"):
        Denoised(_Average(), _Bright())(torch.rand(1, 3, 20))


def test_stored_denoisers_load_and_say_what_they_are(folder: Path) -> None:
    denoiser = load_denoiser(str(folder))
    assert isinstance(denoiser, TrainedDenoiser)
    assert not denoiser.training
    assert denoiser.model_name == str(folder)
    x = torch.rand(1, 3, 9, 11)
    assert denoiser(x).shape == x.shape
    with pytest.raises(InputError, match="pass it as --denoiser"):
        load_model(str(folder))


def test_what_names_no_denoiser(folder: Path) -> None:
    with pytest.raises(InputError, match="which segments"):
        load_denoiser("certiseg:camvid")
    with pytest.raises(InputError, match="expected a denoiser as"):
        load_denoiser(str(folder / "nothing"))


def test_opened_behind_a_denoiser(folder: Path) -> None:
    loaded = open_model("certiseg:camvid", denoiser=str(folder))
    assert isinstance(loaded.model, Denoised)
    assert loaded.name == f"certiseg:camvid behind the denoiser {folder}"
    assert (loaded.num_classes, loaded.channels) == (11, 3)
    with pytest.raises(InputError, match="denoiser of 1 channels"):
        open_model("certiseg:mni152", denoiser=str(folder))
    with pytest.raises(InputError, match="point clouds"):
        open_model("certiseg:solids", denoiser=str(folder))
