"""Models of the user's own code: what they may be, and errors that say where their code failed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import certiseg as cs
from certiseg.cli.main import run
from certiseg.models.loaded import LoadedModel
from certiseg.runs.executors.recipe import sendable
from certiseg.runs.model import open_model, try_model

SOURCE = """
import torch
from torch import nn
import certiseg as cs

class Net(nn.Conv2d):
    def __init__(self):
        super().__init__(3, 4, 1)

class Failing(Net):
    def forward(self, x):
        return super().forward(x).nope()

class Single(Net):
    def forward(self, x):
        if len(x) > 1:
            raise RuntimeError("one image at a time")
        return super().forward(x)

def build(): return Net()
def fails(): raise FileNotFoundError("weights.pth")
def leaves(): raise SystemExit(3)
def refused(): return cs.Preprocess(Net(), scale=-1)
def none(): pass
def state(): return Net().state_dict()
def needs(path): return Net()
def a_class(): return Net
async def coroutine(): return Net()
def pair(): return Net(), None
def failing(): return Failing()
def single(): return Single()
def several():
    net = Net().eval()
    return lambda x: {"seg": net(x), "aux": (net(x)[:, :2], net(x))}
def two():
    net = Net().eval()
    return lambda x: (net(x)[:, :2], net(x))
def named():
    net = Net()
    net.classes, net.palette = ["sky", "road", "car", "car"], [(0, 0, 0)] * 4
    net.channels = (16, 32)
    net.model_name = "own"
    return net
def half(): return cs.Preprocess(Net().half(), mean=(0.5,) * 3, std=(0.2,) * 3)
instance = Net()
"""
FAILING_LINE = 1 + SOURCE.splitlines().index("        return super().forward(x).nope()")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "u1_models.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "u1_models"
    for name in [name for name in sys.modules if name.startswith("u1_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("function", "word"),
    [
        ("fails", r"got FileNotFoundError: weights.pth \(u1_models.py:\d+\); correct the function"),
        ("refused", r"expected scale > 0.* \(u1_models.py:\d+\)"),
        ("none", "got None; end the function with: return model"),
        ("state", "got weights without their network"),
        ("needs", r"to take no arguments, got needs\(path\)"),
        ("a_class", "got the class Net; return an instance"),
        ("coroutine", "got a coroutine; write def without async"),
        ("pair", "got tuple; return an nn.Module"),
        ("gone", "got no such name"),
    ],
)
def test_what_is_no_model_is_one_line(module: str, function: str, word: str) -> None:
    with pytest.raises(cs.InputError, match=word) as caught:
        cs.load_model(f"python:{module}:{function}")
    assert "\n" not in str(caught.value)


def test_a_module_that_does_not_run_says_its_line(module: str) -> None:
    Path("u1_broken.py").write_text("import os\nimport u1_not_there\n")
    with pytest.raises(cs.InputError, match=r"u1_not_there' \(u1_broken.py:2\)"):
        cs.load_model("python:u1_broken:build")
    Path("u1_wrong.py").write_text("def build(:\n    pass\n")
    with pytest.raises(cs.InputError, match=r"SyntaxError.* \(u1_wrong.py:1\)"):
        cs.load_model("python:u1_wrong.py:build")


@pytest.fixture
def certify(module: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run the command on a function's model; returns exit code and standard error."""
    Image.fromarray(np.full((4, 5, 3), 99, np.uint8)).save("x.png")

    def certify(function: str, *options: str) -> tuple[int, str]:
        words = ["certify", "x.png", "--model", f"python:{module}:{function}", "-o", "out"]
        code = run([*words, "-n", "60", "--seed", "1", "--overwrite", *options])
        return code, capsys.readouterr().err

    return certify


def test_the_command_says_file_and_line_and_shows_the_traceback(
    certify: Callable[..., tuple[int, str]],
) -> None:
    code, said = certify("failing")
    assert code == 2
    assert f"'nope' (u1_models.py:{FAILING_LINE}); " in said
    assert "--traceback shows the whole traceback" in said
    assert "Traceback" not in said
    _, said = certify("failing", "--traceback")
    assert f'u1_models.py", line {FAILING_LINE}, in forward' in said
    code, said = certify("leaves")
    assert code == 2
    assert "got SystemExit: 3 (u1_models.py:" in said


def test_a_model_of_one_image_at_a_time(certify: Callable[..., tuple[int, str]]) -> None:
    code, said = certify("single")
    assert code == 2
    assert "one image at a time (u1_models.py:" in said
    assert "pass batch_size=1 (--batch-size 1)" in said
    assert certify("single", "--batch-size", "1")[0] == 0


def test_errors_in_workers_keep_their_line(module: str) -> None:
    model = cs.load_model(f"python:{module}:failing").model
    with pytest.raises(AttributeError) as caught:
        model(torch.zeros(1, 3, 4, 5))
    sent = sendable(caught.value)
    assert isinstance(sent, cs.InputError)
    assert f"(u1_models.py:{FAILING_LINE})" in str(sent)
    assert "in forward" in sent.__notes__[0]


def test_an_instance_is_taken_as_it_is(module: str) -> None:
    loaded = cs.load_model(f"python:{module}:instance")
    assert loaded.model is sys.modules[module].instance
    assert not loaded.model.training  # type: ignore[union-attr]


def test_one_output_of_several(module: str) -> None:
    x = torch.rand(2, 3, 4, 5)
    seg = cs.load_model(f"python:{module}:several:seg")
    assert tuple(seg.model(x).shape) == (2, 4, 4, 5)
    assert (seg.name, seg.origin is not None) == (f"python:{module}:several:seg", True)
    assert tuple(cs.load_model(f"python:{module}:two:0").model(x).shape) == (2, 2, 4, 5)
    assert tuple(cs.load_model(f"python:{module}:two:-1").model(x).shape) == (2, 4, 4, 5)
    plain = cs.Smoothed(cs.load_model(f"python:{module}:two").model, cs.Gaussian(0.25))
    with pytest.raises(cs.InputError, match=r"got tuple of 0, 1; choose one: certiseg.Output"):
        plain.predict_clean(x[0])
    for key in ("nix", "5"):
        with pytest.raises(cs.InputError, match=f"expected an output '{key}' of the model"):
            cs.load_model(f"python:{module}:two:{key}").model(x)


def test_attributes_name_the_classes(module: str) -> None:
    loaded = cs.load_model(f"python:{module}:named")
    assert loaded.classes == ("sky", "road", "car (2)", "car (3)")
    assert (loaded.num_classes, loaded.channels) == (4, None)
    assert loaded.palette == ((0, 0, 0),) * 4
    assert "one name" in loaded.notes[0]
    assert loaded.model.model_name == "own"  # type: ignore[union-attr]


@pytest.mark.parametrize("palette", [[(1, 2, 3)], [(0, 0, 300)] * 2, [(0.5, 0, 0)] * 2, "ab"])
def test_a_palette_that_does_not_fit_is_refused(palette: object) -> None:
    model = nn.Conv2d(3, 2, 1)
    model.classes, model.palette = ["a", "b"], palette  # type: ignore[assignment]
    with pytest.raises(cs.InputError, match="palette of 2 colours"):
        LoadedModel.of_model("m", model)


def test_classes_of_another_meaning_name_nothing() -> None:
    model = nn.Conv2d(3, 2, 1)
    model.classes, model.palette = 2, "viridis"  # type: ignore[assignment]
    loaded = LoadedModel.of_model("m", model)
    assert (loaded.classes, loaded.palette, loaded.num_classes) == (None, None, None)


def test_half_weights_behind_preprocessing(module: str) -> None:
    loaded = cs.load_model(f"python:{module}:half")
    certificate = cs.Smoothed(loaded.model, cs.Gaussian(0.25)).certify(torch.rand(3, 4, 5), 60)
    assert certificate.votes.source is not None
    assert certificate.votes.source.engine["precision"] == "float16"


def test_a_function_of_a_half_network_says_where(module: str) -> None:
    network = nn.Conv2d(3, 4, 1).half().eval()
    smoothed = cs.Smoothed(lambda x: network(x), cs.Gaussian(0.25))
    x = np.zeros((3, 4, 5), np.float32)
    with pytest.raises(cs.InputError, match=r"test_user_code.py:\d+\); .* and its type"):
        try_model(smoothed, x)
    try_model(cs.Smoothed(lambda x: network(x.half()), cs.Gaussian(0.25)), x)


@pytest.mark.parametrize("name", ["modules", "parameters", "eval"])
def test_attributes_that_hide_methods_of_modules(name: str, module: str) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval()
    for part in (network, network[0]):
        part.__dict__[name] = [1, 2]
    certificate = cs.Smoothed(network, cs.Gaussian(0.25)).certify(torch.rand(3, 4, 5), 60, seed=1)
    del network.__dict__[name], network[0].__dict__[name]
    same = cs.Smoothed(network, cs.Gaussian(0.25)).certify(torch.rand(3, 4, 5), 60, seed=1)
    assert certificate.labels.shape == same.labels.shape
    network.__dict__[name] = [1, 2]
    network.train()
    with pytest.raises(cs.InputError, match="in training mode"):
        cs.Smoothed(network, cs.Gaussian(0.25))


def test_a_file_is_a_module_executed_once(tmp_path: Path, module: str) -> None:
    folder = tmp_path / "far"
    folder.mkdir()
    (folder / "u1_net.py").write_text(
        "import sys\nimport u1_beside\nsys.u1_times = getattr(sys, 'u1_times', 0) + 1\n"
        "def build():\n    import u1_late\n    return u1_beside.Net()\n"
    )
    (folder / "u1_beside.py").write_text("from torch import nn\nNet = nn.Identity\n")
    (folder / "u1_late.py").write_text("")
    for spec in ("far/u1_net.py", str(folder / "u1_net.py"), "u1_net"):
        loaded = open_model(f"python:{spec}:build")
        assert loaded.origin is not None
        assert set(loaded.origin.files) == {"u1_net.py", "u1_beside.py", "u1_late.py"}
    assert sys.u1_times == 1  # type: ignore[attr-defined]
    del sys.u1_times  # type: ignore[attr-defined]


def test_files_of_one_name_are_two_modules(tmp_path: Path, module: str) -> None:
    for name, channels in (("a", 4), ("b", 5), ("c", 6)):
        (tmp_path / name).mkdir()
        text = f"from torch import nn\ndef build():\n    return nn.Conv2d(3, {channels}, 1)\n"
        (tmp_path / name / ("json.py" if name == "c" else "u1_same.py")).write_text(text)
    found = [
        cs.load_model(f"python:{name}:build").model.out_channels  # type: ignore[union-attr]
        for name in ("a/u1_same.py", "b/u1_same.py", "a/u1_same.py", "c/json.py")
    ]
    assert found == [4, 5, 4, 6]
    assert sys.modules["json"] is json


def test_a_neighbour_of_another_folder_is_refused(tmp_path: Path, module: str) -> None:
    """Both import u1_parts, of which Python keeps the first one."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"u1_{name}.py").write_text(
            "import u1_parts\nfrom torch import nn\ndef build():\n    return nn.Identity()\n"
        )
        (tmp_path / name / "u1_parts.py").write_text(f"{name} = 1\n")
    cs.load_model("python:a/u1_a.py:build")
    with pytest.raises(cs.InputError, match=r"u1_parts of .*another model imported before"):
        cs.load_model("python:b/u1_b.py:build")


@pytest.mark.parametrize("spec", ["gone.py:build", "u1_package/__init__.py:build"])
def test_files_that_are_none(spec: str, module: str) -> None:
    Path("u1_package").mkdir()
    Path("u1_package/__init__.py").write_text("")
    with pytest.raises(cs.InputError, match="expected a file of Python, got"):
        cs.load_model(f"python:{spec}")
