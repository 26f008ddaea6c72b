"""A model's name loads what that model needs, and nothing else; other packages may add names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import certiseg as cs
from certiseg.errors import InputError
from certiseg.models.resolve import SCHEMES, load_model

OURS = (
    *("models.adapters", "models.huggingface", "models.zoo", "models.hrnet", "models.pointnet"),
    *("models.denoise", "report.page", "report.figures", "bench", "studies"),
    *("training.loop", "training.task", "datasets.solids", "datasets.synthetic"),
    "runs.executors.ray_pool",
)
OTHERS = ("onnx", "onnxruntime", "monai", "transformers", "huggingface_hub", "timm", "torchvision")
HEAVY = (
    *("scipy.optimize", "scipy.stats", "scipy.sparse", "scipy.ndimage", "scipy.spatial"),
    *("torch._dynamo", "torch._inductor", "sympy"),
)
LIMIT = 900
"""Modules beside those of PyTorch and certiseg; 767 with Python 3.11, SciPy 1.17, typer 0.29."""
UNUSED = (
    *OTHERS,
    *HEAVY,
    "ray",
    "plotly",
    "matplotlib",
    "jinja2",
    *(f"certiseg.{name}" for name in OURS),
)

# Runs one command, after the imports given first, and tells which modules it has loaded.
_LOOK = """
import importlib, json, sys
for name in filter(None, sys.argv[1].split()):
    importlib.import_module(name)
from certiseg.cli.main import run
code = run(sys.argv[2:])
print(json.dumps([code, sorted(sys.modules)]))
"""


def loaded_by(command: str, before: str = "") -> tuple[list[str], int]:
    """Names in UNUSED of which a command has loaded a module, and how many modules it has loaded
    in all besides those of PyTorch and certiseg, without Numba, which is optional."""
    done = subprocess.run(
        [sys.executable, "-c", _LOOK, before, *command.split()],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    code, modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    unused = [name for name in UNUSED if any(f"{m}.".startswith(f"{name}.") for m in modules)]
    return unused, sum(not m.startswith(("torch.", "certiseg.")) for m in modules)


@pytest.mark.slow
def test_certify_loads_what_a_shipped_model_needs(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    command = f"certify {tmp_path / 'a.png'} --model certiseg:camvid -n 50 -o {tmp_path / 'out'}"
    found, number = loaded_by(command)
    assert found == []
    # Start-up to the first draw: counted, since seconds depend on the machine. SciPy's functions,
    # NumPy and what PyTorch and typer import are most of them.
    assert number < LIMIT
    # Negative control: what is imported beforehand is seen.
    planted = "certiseg.models.zoo.timm certiseg.datasets.synthetic"
    planted += " scipy.optimize"
    found, more = loaded_by(f"{command} --overwrite", planted)
    assert {"certiseg.models.zoo", "certiseg.datasets.synthetic", "scipy.optimize"} <= set(found)
    assert more > LIMIT


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_loader_is_there(scheme: str) -> None:
    """Names that no model has: each loader says so itself."""
    with pytest.raises(InputError):
        load_model(f"{scheme}:no/such:thing")


TOY = """
import torch
from certiseg.models import LoadedModel

class Toy(torch.nn.Module):
    kind, classes, channels, num_classes = "images", ("dark", "bright"), 1, 2

    def forward(self, x):
        return torch.cat([1 - x, x], 1)

def load(rest):
    if rest == "known":
        return LoadedModel("", Toy(), 2, kind="images", notes=("a toy",))
    return {"toy": Toy(), "bad": 5}[rest]
"""


@pytest.fixture
def toy_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package beside certiseg that registers the scheme "toy"."""
    (tmp_path / "toy_zoo.py").write_text(TOY)
    info = tmp_path / "toy_zoo-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-zoo\nVersion: 1.0\n")
    points = "[certiseg.models]\ntoy = toy_zoo:load\nhrnet = toy_zoo:load\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("toy_zoo")
def test_another_package_adds_a_scheme() -> None:
    loaded = load_model("toy:toy")
    assert (loaded.name, loaded.num_classes, loaded.classes) == ("toy:toy", 2, ("dark", "bright"))
    assert (loaded.channels, loaded.kind, loaded.model.training) == (1, "images", False)
    votes = cs.Smoothed(loaded.model, cs.Gaussian(0.25)).vote(torch.zeros(1, 4, 4), 5, seed=0)
    assert votes.counts.sum() == 5 * 16
    known = load_model("toy:known")
    assert (known.name, known.notes) == ("toy:known", ("a toy",))


@pytest.mark.usefixtures("toy_zoo")
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("toy:bad", "to return a callable model, got int"),
        ("toy:gone", "to return a model, got KeyError"),
        ("toi:toy", r"toy:\.\.\. \(toy_zoo\)"),
        ("hrnet:toy", "expected a checkpoint at toy"),  # ours stays ours
    ],
)
def test_what_another_package_returns_is_checked(spec: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_model(spec)
    assert "\n" not in str(caught.value)


def test_there_is_no_such_scheme_without_it() -> None:
    with pytest.raises(InputError, match="expected a model as"):
        load_model("toy:toy")
