"""The int8 form of a model: what the file holds, that it is certified as itself, and refusals."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import certiseg as cs
from certiseg.cli.main import run
from certiseg.errors import InputError
from certiseg.outputs.low_resolution import LowResolutionLogits, low_resolution_form
from certiseg.runs.model import open_model
from certiseg.runs.quantize import quantize
from certiseg.sampling.fingerprint import model_fingerprint

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")
pytestmark = pytest.mark.slow

MODELS = '''
import torch
from torch import nn

from certiseg.models.preprocess import Preprocess
from certiseg.models.unet import SmallUNet


def small():
    """Logits at half the size; classes of different brightness."""
    torch.manual_seed(0)
    model = Preprocess(SmallUNet(3, 4, (8, 8), (1, 1)), mean=[0.5] * 3, std=[0.25] * 3)
    model.classes = ("road", "sky", "tree", "car")
    return model


def function():
    return lambda x: torch.cat([x.mean(1, keepdim=True), 0.5 + 0 * x[:, :1]], 1)


class Data(nn.Module):
    def forward(self, x):
        return x if x.sum().item() > 0 else -x


def dependent():
    return Data()
'''
SPEC = "python:models_to_quantize:small"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A folder with the module of models, twelve images, and small.onnx made of nine of them."""
    folder = tmp_path_factory.mktemp("quantize")
    (folder / "models_to_quantize.py").write_text(MODELS)
    (folder / "images").mkdir()
    generator = np.random.default_rng(0)
    for number in range(12):
        coarse = generator.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((48, 32), Image.Resampling.BILINEAR)
        image.save(folder / "images" / f"{number:02}.png")
    sys.path.insert(0, str(folder))
    made = quantize(SPEC, folder / "images", folder / "small.onnx", sigma=0.1, limit=9)
    assert made.agreement > 0.9
    yield folder
    sys.path.remove(str(folder))


def test_the_file_says_how_it_was_made_and_nothing_of_this_machine(place: Path) -> None:
    content = (place / "small.onnx").read_bytes()
    assert str(place).encode() not in content
    assert str(Path(cs.__file__).parent).encode() not in content
    model = onnx.load_from_string(content)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    record = json.loads(facts["certiseg"])
    assert record["source"]["sha256"] == model_fingerprint(open_model(SPEC).model).sha256
    images = record["calibration"]["images"]
    # Twelve images in nine equal steps.
    assert list(images) == [f"{n:02}.png" for n in (0, 1, 2, 4, 5, 6, 8, 9, 10)]
    assert record["calibration"]["noise"] == cs.Gaussian(0.1).describe()
    layers = [node.input[1] for node in model.graph.node if node.op_type.startswith("Conv")]
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    dequantised = {node.output[0]: node.input[0] for node in model.graph.node}
    weights = [stored[dequantised[name]] for name in layers[:-1]]
    assert weights
    assert all(tensor.data_type == onnx.TensorProto.INT8 for tensor in weights)
    assert stored[layers[-1]].data_type == onnx.TensorProto.FLOAT


def test_it_is_a_base_model_of_its_own(place: Path) -> None:
    loaded = open_model(str(place / "small.onnx"))
    assert (loaded.classes, loaded.num_classes) == (("road", "sky", "tree", "car"), 4)
    x = torch.rand(3, 32, 48, generator=torch.Generator().manual_seed(0))
    assert isinstance(low_resolution_form(loaded.model)(x[None]), LowResolutionLogits)
    smooth = cs.Smoothed(loaded.model, cs.Gaussian(0.1), loaded.num_classes)
    certificate = smooth.certify(x, num_samples=60, seed=1)
    cs.verify(certificate)
    source = certificate.votes.source
    assert source is not None
    assert source.model == model_fingerprint(loaded.model).sha256
    assert source.model != model_fingerprint(open_model(SPEC).model).sha256


def test_equal_bits_in_any_batch_and_on_any_number_of_threads(place: Path) -> None:
    x = torch.rand(5, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    threads = torch.get_num_threads()
    found = []
    try:
        for number in (1, 2, 3):
            torch.set_num_threads(number)
            model = open_model(str(place / "small.onnx")).model
            found += [model(x), torch.cat([model(one[None]) for one in x])]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0], other) for other in found)


def test_logits_are_not_quantised_so_that_few_are_equal(place: Path) -> None:
    """Equal logits are decided the slow way; logits of eight bits often are."""
    graph = onnx.load(str(place / "small.onnx")).graph
    (last,) = (node for node in graph.node if graph.output[0].name in node.output)
    assert last.op_type == "Conv"
    assert any(node.op_type == "QuantizeLinear" for node in graph.node)
    x = torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(0))
    first, second = open_model(str(place / "small.onnx")).model(x).topk(2, dim=1)[0].unbind(1)
    assert float((first == second).float().mean()) < 0.001


def test_the_same_call_writes_the_same_bytes(place: Path, tmp_path: Path) -> None:
    quantize(SPEC, place / "images", tmp_path / "again.onnx", sigma=0.1, limit=9)
    assert (tmp_path / "again.onnx").read_bytes() == (place / "small.onnx").read_bytes()


def test_on_the_command_line(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, file = place / "images", tmp_path / "small.onnx"
    words = ["quantize", "-m", SPEC, "--images", str(images), "-o", str(file), "--limit", "2"]
    assert run([*words, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["calibration"]["images"]) == 2
    assert run(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    out = str(tmp_path / "out")
    assert run(["certify", str(images / "03.png"), "-m", str(file), "-n", "60", "-o", out]) == 0
    assert "small.onnx" in capsys.readouterr().out


def test_a_float_file_gives_the_same_labels_as_its_int8_form(place: Path, tmp_path: Path) -> None:
    """From an ONNX file with logits of full size; a quantised file is refused."""
    x = torch.rand(2, 3, 32, 48)
    model = open_model(SPEC).model
    assert isinstance(model, torch.nn.Module)
    batch = {0: torch.export.Dim("batch")}
    torch.onnx.export(model, (x,), dynamo=True, dynamic_shapes=(batch,), verbose=False).save(
        tmp_path / "float.onnx"
    )
    images = place / "images"
    made = quantize(str(tmp_path / "float.onnx"), images, tmp_path / "int8.onnx", sigma=0.1)
    assert made.agreement > 0.9
    assert open_model(str(made.path)).model(x).shape == (2, 4, 32, 48)
    with pytest.raises(InputError, match="which is quantised"):
        quantize(str(made.path), images, tmp_path / "twice.onnx")
    program = onnx.load(tmp_path / "float.onnx")
    # One of two outputs: the other one is left out, and the names of the file are unambiguous.
    inner = next(node.output[0] for node in program.graph.node if node.op_type == "Conv")
    program.graph.output.append(onnx.helper.make_empty_tensor_value_info(inner))
    onnx.save(program, tmp_path / "two.onnx")
    named = f"onnx:{tmp_path / 'two.onnx'}:{program.graph.output[0].name}"
    two = quantize(named, images, tmp_path / "one.onnx", sigma=0.1)
    assert torch.equal(open_model(str(two.path)).model(x), open_model(str(made.path)).model(x))
    with pytest.raises(InputError, match="expected the name of one output among"):
        quantize(str(tmp_path / "two.onnx"), images, tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()
    apart = tmp_path / "apart.onnx"
    program = onnx.load(tmp_path / "float.onnx")
    onnx.save(program, apart, save_as_external_data=True, location="apart.data", size_threshold=0)
    with pytest.raises(
        InputError, match=r"weights inside, got .*apart.onnx with apart.data beside"
    ):
        quantize(str(apart), images, tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()


def test_nodes_need_no_names_and_one_layer_is_refused(place: Path, tmp_path: Path) -> None:
    batch = {0: torch.export.Dim("batch")}

    def written(name: str, *layers: torch.nn.Module) -> str:
        model = torch.nn.Sequential(*layers).eval()
        made = torch.onnx.export(
            model, (torch.rand(2, 3, 32, 48),), dynamo=True, dynamic_shapes=(batch,), verbose=False
        )
        assert made is not None
        program = made.model_proto
        for node in program.graph.node:
            node.name = ""
        onnx.save(program, tmp_path / name)
        return str(tmp_path / name)

    first, last = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 4, 1)
    made = quantize(
        written("two.onnx", first, torch.nn.ReLU(), last), place / "images", tmp_path / "int8.onnx"
    )
    types = [node.op_type for node in onnx.load(str(made.path)).graph.node]
    assert "QuantizeLinear" in types
    with pytest.raises(InputError, match="at least two layers with weights"):
        quantize(written("one.onnx", first), place / "images", tmp_path / "no.onnx")
    assert not (tmp_path / "no.onnx").exists()


def test_what_cannot_be_quantised_is_refused(place: Path, tmp_path: Path) -> None:
    images, out = place / "images", tmp_path / "out.onnx"
    for spec, options, words in (
        ("python:models_to_quantize:function", {}, "a PyTorch module or an ONNX file"),
        ("python:models_to_quantize:dependent", {}, "torch.onnx.export exports"),
        (SPEC, {"limit": 0}, "--limit 1 or more"),
        (SPEC, {"seed": -1}, "--seed 0 or more"),
        (SPEC, {"sigma": 0.0}, "sigma"),
        (SPEC, {"out": tmp_path / "out"}, r"\.onnx"),
        (SPEC, {"images": tmp_path / "nowhere"}, "expected a folder"),
    ):
        call = {"images": images, "out": out, **options}
        with pytest.raises(InputError, match=words):
            quantize(spec, **call)
    assert not out.exists()


def test_calibration_images_have_one_size(place: Path, tmp_path: Path) -> None:
    for number, size in enumerate(((48, 32), (32, 48))):
        Image.new("RGB", size).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError, match=r"of one size, got 32 x 48 .* and 48 x 32"):
        quantize(SPEC, tmp_path, tmp_path / "out.onnx")


def test_logits_are_enlarged_as_the_file_states_or_not_at_all(place: Path, tmp_path: Path) -> None:
    model = onnx.load(str(place / "small.onnx"))
    for entry in model.metadata_props:
        if entry.key == "certiseg.upsampling":
            entry.value = "cubic"
    onnx.save(model, tmp_path / "cubic.onnx")
    with pytest.raises(InputError, match=r"expected bilinear as certiseg\.upsampling"):
        open_model(str(tmp_path / "cubic.onnx"))
