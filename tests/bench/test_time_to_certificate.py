"""`certiseg bench time-to-certificate`: its certificates are those of the ordinary way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import certiseg as cs
from certiseg.bench import time_to_certificate as module
from certiseg.bench.subject import Options, subject
from certiseg.bench.time_to_certificate import certified_after, draws_shown, ways
from certiseg.bench.timing import Spread
from certiseg.errors import InputError
from certiseg.runs import device
from certiseg.sampling.engine import Engine


def test_each_certificate_is_that_of_its_number_of_draws() -> None:
    about = subject("certiseg:camvid", Options(size=(16, 16), seed=3))
    smooth = about.smoothed()
    found = certified_after(smooth, about.x, (50, 60, 75), seed=3)
    for draws, (_, made) in zip((50, 60, 75), found, strict=True):
        whole = smooth.certify(about.x, num_samples=draws, seed=3)
        assert np.array_equal(made.labels, whole.labels)
        assert np.array_equal(made.votes.counts, whole.votes.counts)
    seconds = [spent for spent, _ in found]
    assert seconds == sorted(seconds)


def test_draws_start_where_something_can_be_certified() -> None:
    numbers = draws_shown(360 * 480, 200)
    assert (numbers[0], numbers[-1]) == (66, 200)
    with pytest.raises(InputError, match="-n 66 or more"):
        draws_shown(360 * 480, 65)


def test_the_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(size=(16, 16))
    monkeypatch.setattr(device, "low_precision", lambda: ("avx512_vnni",))
    assert list(ways(subject("certiseg:camvid", options))) == [
        "certiseg:camvid",
        "certiseg:camvid, grid 4",
    ]
    monkeypatch.setattr(device, "low_precision", lambda: ("avx512_bf16",))
    found = ways(subject("certiseg:camvid", options))
    assert list(found)[1] == "certiseg:camvid, bfloat16"
    assert found["certiseg:camvid, bfloat16"].engine.precision == "bfloat16"
    half = Options(size=(16, 16), engine=Engine(precision="bfloat16"))
    assert len(ways(subject("certiseg:camvid", half))) == 2


@pytest.mark.slow
def test_an_image_of_the_user(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "own.png")
    options = Options(image=tmp_path / "own.png", turns=1, num_samples=60)
    about = subject("certiseg:camvid", options)
    assert torch.equal(about.x, torch.from_numpy(cs.read_image(tmp_path / "own.png")))
    result = module.time_to_certificate(options)
    assert result.settings["image"] == "own.png"
    assert all(isinstance(row["seconds"], Spread) for row in result.rows)
    with pytest.raises(InputError, match="--image or --size, got both"):
        Options(image=tmp_path / "own.png", size=(16, 16))
