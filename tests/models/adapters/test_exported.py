"""torch.export programs as base models, and archives that would run code."""

from __future__ import annotations

import io
import json
import math
import operator
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import certiseg as cs
from certiseg.cli.main import run
from certiseg.errors import InputError
from certiseg.models import Preprocess
from certiseg.models.adapters.exported import load_exported
from certiseg.models.programs import unfit_node
from certiseg.models.resolve import load_model
from certiseg.runs.model import open_model
from certiseg.sampling import fingerprint
from certiseg.sampling.fingerprint import model_fingerprint
from hostile import Files, Trap, two_tables


def network() -> Preprocess:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1),
        nn.Conv2d(8, 4, 1),
    )  # fmt: skip
    return Preprocess(net, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)).eval()


def save(model: nn.Module, path: Path, *, batch: int = 2, dynamic: bool = True) -> Path:
    auto = torch.export.Dim.AUTO
    shapes = ({0: torch.export.Dim("batch"), 2: auto, 3: auto},) if dynamic else None
    program = torch.export.export(model, (torch.rand(batch, 3, 16, 20),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported")
    save(network(), path / "any.pt2")
    save(network(), path / "two.pt2", dynamic=False)
    return path


@pytest.mark.parametrize("name", ["any.pt2", "two.pt2"])
def test_the_logits_are_those_of_the_network(folder: Path, name: str) -> None:
    """Of 3 draws the last goes through "two" with a filler."""
    x = torch.rand(3, 3, 16, 20)
    model = load_exported(folder / name)
    with torch.inference_mode():
        torch.testing.assert_close(model(x), network()(x), atol=1e-5, rtol=1e-4)
    assert model.shape == ((None, 3, None, None) if name == "any.pt2" else (2, 3, 16, 20))


def test_certifies_a_picture_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (14, 18, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "street.png")
    out = tmp_path / "out"
    command = f"certify {tmp_path / 'street.png'} --model {folder / 'any.pt2'} -n 60 --tau 0.6"
    assert run([*command.split(), "-o", str(out)]) == 0
    record = json.loads((out / "results.jsonl").read_text())
    assert record["size"] == [14, 18]
    assert cs.verify(cs.Certificate.load(out / "street.cert.npz")) is None


def test_one_channel_is_declared(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.Sigmoid()).eval()
    path, x = str(save(net, tmp_path / "one.pt2")), torch.rand(3, 16, 20)
    with pytest.raises(InputError, match="binary='probability'"):
        cs.Smoothed(open_model(path).model, cs.Gaussian(0.1)).vote(x, 2)
    loaded = open_model(path, binary="probability")
    with torch.inference_mode():
        expected = net(x[None])[0, 0].numpy() > 0.5
    smooth = cs.Smoothed(loaded.model, cs.Gaussian(0.1))
    assert np.array_equal(smooth.predict_clean(x), expected)


def test_other_sizes_are_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match=r"shape \(3, 16, 20\), which the program was exported"):
        load_exported(folder / "two.pt2")(torch.rand(1, 3, 17, 20))
    with pytest.raises(InputError, match=r"shape \(3, any, any\)"):
        load_exported(folder / "any.pt2")(torch.rand(1, 1, 17, 20))


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3), nn.Dropout(0.5)])
def test_programs_in_training_mode_are_refused(layer: nn.Module, tmp_path: Path) -> None:
    """By file and as a module; the same layer in evaluation mode passes."""
    path = save(layer.train(), tmp_path / "training.pt2")
    with pytest.raises(InputError, match="exported in evaluation mode, got aten"):
        load_exported(path)
    with pytest.raises(InputError, match="exported in evaluation mode, got aten"):
        cs.Smoothed(torch.export.load(path).module(), cs.Gaussian(0.25))
    with pytest.raises(InputError, match="exported in evaluation mode, got aten"):
        cs.Smoothed(torch.export.unflatten(torch.export.load(path)), cs.Gaussian(0.25))
    path = save(layer.eval(), tmp_path / "evaluation.pt2")
    assert load_exported(path).shape == (None, 3, None, None)
    cs.Smoothed(torch.export.load(path).module(), cs.Gaussian(0.25)).vote(torch.rand(3, 8, 8), 2)


@pytest.mark.parametrize(("mode", "refused"), [(None, True), (True, True), (False, False)])
def test_dropout_without_a_mode_is_in_training(mode: bool | None, refused: bool) -> None:
    graph = torch.fx.Graph()
    dropped = graph.call_function(
        torch.ops.aten.native_dropout.default, (graph.placeholder("x"), 0.5, mode)
    )
    graph.output(graph.call_function(operator.getitem, (dropped, 0)))
    assert (unfit_node(torch.fx.GraphModule(nn.Module(), graph)) is not None) == refused


def test_a_program_of_a_function_needs_no_eval(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "import torch\n\ndef build():\n    return torch.export.load(PATH).module()\n"
    source = source.replace("PATH", repr(str(folder / "any.pt2")))
    (tmp_path / "h7_exported.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    model = load_model("python:h7_exported:build").model
    assert cs.Smoothed(model, cs.Gaussian(0.1)).vote(torch.rand(3, 9, 9), 2).trials == 2


class Times(nn.Module):
    """Programs that print alike: what they do is in their source alone."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight * self.factor


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_programs_that_print_alike_have_their_own_fingerprint(tmp_path: Path) -> None:
    x = torch.rand(1, 3, 4, 4)
    for make in (
        lambda model: torch.export.export(model, (x,)).module(),
        torch.fx.symbolic_trace,
        lambda model: torch.jit.trace(model, x),
    ):
        one, other = make(Times(1.0).eval()), make(Times(-1.0).eval())
        assert repr(one) == repr(other)
        assert model_fingerprint(one)[0] != model_fingerprint(other)[0]


def test_the_fingerprint_of_a_file_is_the_same_in_another_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_exported(folder / "any.pt2")
    first = model_fingerprint(model)
    assert first.not_covered == ()
    for draws in (1, 3):
        model(torch.rand(draws, 3, 16, 20))
    assert model_fingerprint(model) == first
    monkeypatch.setattr(fingerprint, "_PROCESS", "another")
    again = load_exported(folder / "any.pt2")
    assert model_fingerprint(again) == first
    with torch.no_grad():
        next(again.parameters()).add_(1)
    assert model_fingerprint(again)[0] != first[0]


def rewrite(source: Path, target: Path, change: Callable[[str, Files], None]) -> Path:
    with zipfile.ZipFile(source) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(files)).partition("/")[0]
    change(root, files)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target


def edit(root: str, files: Files, name: str, change: Callable[[Any], None]) -> None:
    value = json.loads(files[f"{root}/{name}"])
    change(value)
    files[f"{root}/{name}"] = json.dumps(value).encode()


def test_an_archive_written_again_still_loads(folder: Path, tmp_path: Path) -> None:
    """Control of the refusals below: it is what they change that is refused."""
    path = rewrite(folder / "any.pt2", tmp_path / "same.pt2", lambda root, files: None)
    assert load_exported(path)(torch.rand(1, 3, 8, 8)).shape == (1, 4, 8, 8)


@pytest.mark.parametrize(
    ("which", "word"),
    [
        ("weight", "as a pickled object"),
        ("object", "tensors alone, got data/constants/opaque_obj_0"),
        ("compiled", "tensors alone, got data/aotinductor/model/run.so"),
        ("operator", "operators of aten alone, got 'torch.hub.load'"),
        ("file", r"operators of aten alone, got 'torch\.ops\.aten\.from_file"),
        ("expression", "arithmetic on sizes, got"),
        ("symbol", "symbols of sizes"),
        ("name", "names of values, got"),
    ],
)
def test_archives_that_would_run_code_are_refused(
    which: str, word: str, folder: Path, tmp_path: Path
) -> None:
    sprung = tmp_path / "sprung"
    trap = pickle.dumps(Trap(sprung))

    def change(root: str, files: Files) -> None:
        model = "models/model.json"
        call = f"__import__('os').mkdir({str(sprung)!r})"
        if which == "weight":
            config = "data/weights/model_weights_config.json"
            edit(root, files, config, lambda c: first(c["config"]).update(use_pickle=True))
            files[f"{root}/data/weights/weight_0"] = trap
        elif which == "object":
            files[f"{root}/data/constants/opaque_obj_0"] = trap
        elif which == "compiled":
            files[f"{root}/data/aotinductor/model/run.so"] = b""
        elif which in ("operator", "file"):
            target = "torch.hub.load" if which == "operator" else "torch.ops.aten.from_file.default"
            edit(root, files, model, lambda m: node(m).update(target=target))
        elif which == "expression":
            text = files[f"{root}/{model}"].decode()
            symbol = text.split('"expr_str": "', 1)[1].split('"', 1)[0]
            files[f"{root}/{model}"] = text.replace(symbol, call, 1).encode()
        elif which == "symbol":
            edit(root, files, model, lambda m: m["range_constraints"].update({call: {}}))
        elif which == "name":
            edit(root, files, model, lambda m: graph(m)["inputs"][0]["as_tensor"].update(name=call))

    path = rewrite(folder / "any.pt2", tmp_path / "changed.pt2", change)
    with pytest.raises(InputError, match=word) as caught:
        load_exported(path)
    assert "\n" not in str(caught.value)
    assert not sprung.exists()
    if which == "weight":
        # Negative control: torch's own way of loading the same file runs it.
        with suppress(Exception):
            torch.export.load(path)
        assert sprung.exists()


def test_an_archive_of_two_tables_runs_nothing(folder: Path, tmp_path: Path) -> None:
    """What is checked is what torch is given: the program that Python sees, and no other. torch's
    own way of loading the same file unpickles the hidden weight."""
    sprung = tmp_path / "sprung"
    with zipfile.ZipFile(folder / "any.pt2") as archive:
        seen = {name: archive.read(name) for name in archive.namelist()}
    hidden, root = dict(seen), next(iter(seen)).partition("/")[0]
    config = "data/weights/model_weights_config.json"
    edit(root, hidden, config, lambda c: first(c["config"]).update(use_pickle=True))
    hidden[f"{root}/data/weights/weight_0"] = pickle.dumps(Trap(sprung))
    path = tmp_path / "two.pt2"
    path.write_bytes(two_tables(seen, hidden))
    with zipfile.ZipFile(path) as archive:
        assert archive.read(f"{root}/{config}") == seen[f"{root}/{config}"]
    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(load_exported(path)(x), load_exported(folder / "any.pt2")(x))
    assert not sprung.exists()
    with suppress(Exception):
        torch.export.load(path)
    assert sprung.exists()


def test_sample_inputs_are_not_unpickled(folder: Path, tmp_path: Path) -> None:
    """Nor is the fallback of torch's own way taken, which runs them."""
    sprung = tmp_path / "sprung"

    def change(root: str, files: Files) -> None:
        buffer = io.BytesIO()
        torch.save((Trap(sprung),), buffer)
        files[f"{root}/data/sample_inputs/model.pt"] = buffer.getvalue()

    path = rewrite(folder / "any.pt2", tmp_path / "samples.pt2", change)
    load_exported(path)(torch.rand(1, 3, 8, 8))
    assert not sprung.exists()
    with suppress(Exception):
        torch.export.load(path)
    assert sprung.exists()


def test_archives_that_unpack_to_more_are_refused(folder: Path, tmp_path: Path) -> None:
    """Compressed members, and weights that are zeros because their file is empty."""

    def empty(root: str, files: Files) -> None:
        files[f"{root}/data/weights/weight_0"] = b""

    with pytest.raises(InputError, match=r"expected the values of .* got an empty file"):
        load_exported(rewrite(folder / "any.pt2", tmp_path / "empty.pt2", empty))
    with zipfile.ZipFile(folder / "any.pt2") as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    root = next(iter(files)).partition("/")[0]
    with zipfile.ZipFile(tmp_path / "bomb.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        archive.writestr(f"{root}/data/weights/weight_99", bytes(10**6))
    with pytest.raises(InputError, match=r"as torch\.export\.save stores them, got compressed"):
        load_exported(tmp_path / "bomb.pt2")


def test_guards_in_a_file_are_not_run(folder: Path, tmp_path: Path) -> None:
    """They are Python source. With torch's own way of loading the same file they are run."""
    sprung = tmp_path / "sprung"

    def change(root: str, files: Files) -> None:
        guard = f"__import__('os').mkdir({str(sprung)!r}) is None"
        edit(root, files, "models/model.json", lambda m: m.update(guards_code=[guard]))

    path = rewrite(folder / "any.pt2", tmp_path / "guarded.pt2", change)
    with pytest.raises(InputError, match='guards on the sides of its input, got "__import__'):
        load_exported(path)
    assert not sprung.exists()
    torch.export.load(path).module()(torch.rand(1, 3, 8, 8))
    assert sprung.exists()


class Tenths(nn.Module):
    """Its rows are a tenth of the height, which a program takes for a fixed number."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = int(math.ceil(x.shape[2] * 0.1))  # noqa: RUF046
        y = nn.functional.adaptive_avg_pool2d(x, (rows, 2))
        return nn.functional.interpolate(y, x.shape[2:])


def test_guards_are_kept(tmp_path: Path) -> None:
    """A size that a program's guards exclude is refused, as torch refuses it."""
    path = save(Tenths().eval(), tmp_path / "tenths.pt2")  # 16 x 20: two tenths
    model, whole = load_exported(path), torch.export.load(path).module()
    inside, outside = torch.rand(1, 3, 17, 9), torch.rand(1, 3, 31, 9)
    assert torch.equal(model(inside), whole(inside))
    with pytest.raises(AssertionError, match="Guard failed"):
        whole(outside)
    with pytest.raises(InputError, match=r"exported for, got \(1, 3, 31, 9\), .* guard math.ceil"):
        model(outside)


def first(mapping: dict[str, Any]) -> Any:
    return next(iter(mapping.values()))


def graph(model: Any) -> Any:
    return model["graph_module"]["graph"]


def node(model: Any) -> Any:
    return next(n for n in graph(model)["nodes"] if "conv2d" in n["target"])


def test_other_files_are_one_line(tmp_path: Path) -> None:
    torch.save(network().state_dict(), tmp_path / "weights.pt2")
    (tmp_path / "text.pt2").write_text("no archive")
    for name in ("weights", "text", "missing"):
        with pytest.raises(InputError, match="expected a") as caught:
            load_exported(tmp_path / f"{name}.pt2")
        assert "\n" not in str(caught.value)


def test_programs_of_other_inputs_are_refused(tmp_path: Path) -> None:
    class Two(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    x = torch.rand(1, 3, 8, 8)
    torch.export.save(torch.export.export(Two(), (x, x)), tmp_path / "two.pt2")
    torch.export.save(torch.export.export(nn.Linear(3, 2), (x[0, :, 0, :3],)), tmp_path / "n.pt2")
    for name in ("two", "n"):
        with pytest.raises(InputError, match=r"a program of one tensor \(B, C, H, W\)"):
            load_exported(tmp_path / f"{name}.pt2")
