"""Tests against torchvision, timm and segmentation_models_pytorch: `make test-zoo`.

Beside the CPU build of torch that the other tests use, torchvision does not import.
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import certiseg as cs
from certiseg.cli.main import run
from certiseg.datasets.images import read_image
from certiseg.models import load_model

PACKAGES = ("torchvision", "timm", "segmentation_models_pytorch")


@pytest.fixture(scope="session", autouse=True)
def zoo() -> None:
    """Skip where the packages are not; fail where CERTISEG_ZOO says that they must be."""
    for name in PACKAGES:
        try:
            importlib.import_module(name)
        except (ImportError, RuntimeError) as error:
            if os.environ.get("CERTISEG_ZOO"):
                raise
            pytest.skip(f"{name} does not import here ({type(error).__name__}); make test-zoo")


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        code = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with picture.png of an odd size, 37 x 50."""
    monkeypatch.chdir(tmp_path)
    coarse = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    Image.fromarray(coarse).resize((50, 37), Image.Resampling.BILINEAR).save("picture.png")
    return tmp_path


@pytest.fixture
def certifies(place: Path, call: Callable[..., tuple[int, str, str]]) -> Callable[[str], None]:
    """Check that a name certifies the picture, through the library and the command line alike."""

    def certifies(spec: str) -> None:
        code, out, err = call(
            "certify", "picture.png", "--model", spec, "-o", "out", "--seed", 3, "-n", 60,
            "--batch-size", 20, "--json",
        )  # fmt: skip
        assert code == 0, err
        record = json.loads(out.splitlines()[-1])
        assert record["model"] == spec
        assert record["size"] == [37, 50]
        certificate = cs.Certificate.load(place / "out" / "picture.cert.npz")
        loaded = load_model(spec)
        smooth = cs.Smoothed(loaded.model, cs.Gaussian(0.25))
        same = smooth.certify(read_image("picture.png"), num_samples=60, seed=3, batch_size=20)
        assert smooth.num_classes == loaded.num_classes
        assert np.array_equal(same.votes.counts, certificate.votes.counts)
        assert call("verify", "out/picture.cert.npz")[0] == 0

    return certifies


def settled(network: nn.Module, channels: int = 3) -> nn.Module:
    """Statistics of batch norm those of a batch that passes, so that signals neither grow nor die
    on their way; in evaluation mode."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        generator = torch.Generator().manual_seed(0)
        network.train()(torch.rand(4, channels, 64, 64, generator=generator))
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


@pytest.fixture(name="settled")
def _settled() -> Callable[..., nn.Module]:
    return settled


@pytest.fixture
def normal() -> Callable[[torch.Tensor], torch.Tensor]:
    """The normalisation of ImageNet."""
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return lambda x: (x - mean[:, None, None]) / std[:, None, None]


@pytest.fixture
def pictures() -> torch.Tensor:
    """Two of an odd size, 37 x 50."""
    return torch.rand(2, 3, 37, 50, generator=torch.Generator().manual_seed(5))
