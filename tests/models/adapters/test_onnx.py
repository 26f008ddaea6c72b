"""ONNX files as base models: tiny networks exported by torch.onnx, run by ONNX Runtime."""

from __future__ import annotations

import json
import os
import sys
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
from certiseg.models.adapters import onnx as onnx_module
from certiseg.models.adapters.onnx import load_onnx
from certiseg.models.resolve import load_model
from certiseg.runs.certify import certify_images
from certiseg.runs.model import open_model
from certiseg.runs.settings import Settings
from certiseg.sampling import fingerprint
from certiseg.sampling.fingerprint import model_fingerprint

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

BATCH, HEIGHT, WIDTH = (torch.export.Dim(name) for name in ("batch", "height", "width"))


def network() -> Preprocess:
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1),
        nn.Conv2d(8, 4, 1),
    )  # fmt: skip
    return Preprocess(net, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """any.onnx of torch.onnx; the same for batches of one and two, and with a second output."""
    path = tmp_path_factory.mktemp("onnx")
    torch.onnx.export(
        network(),
        (torch.rand(2, 3, 16, 20),),
        dynamo=True,
        dynamic_shapes=({0: BATCH, 2: HEIGHT, 3: WIDTH},),
        input_names=["x"],
        output_names=["logits"],
        verbose=False,
    ).save(path / "any.onnx")
    for batch, name in ((1, "one.onnx"), (2, "two.onnx")):
        model = onnx.load(str(path / "any.onnx"))
        for side, value in enumerate((batch, 3, 16, 20)):
            model.graph.input[0].type.tensor_type.shape.dim[side].dim_value = value
        onnx.save(model, path / name)
    model = onnx.load(str(path / "any.onnx"))
    # With the axis of a channel, as many exporters write labels.
    model.graph.node.append(onnx.helper.make_node("ArgMax", ["logits"], ["labels"], axis=1))
    sides = ["batch", 1, "height", "width"]
    integers = onnx.TensorProto.INT64
    model.graph.output.append(onnx.helper.make_tensor_value_info("labels", integers, sides))
    onnx.save(model, path / "both.onnx")
    return path


class Ends(nn.Module):
    """One channel, in another form."""

    def __init__(self, end: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.end = nn.Conv2d(3, 1, 3, padding=1), end

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        p = torch.sigmoid(4 * self.conv(x))
        return {"probability": p, "mask": p > 0.5, "labels": (p > 0.5).long()}[self.end]


@pytest.mark.parametrize("end", ["probability", "mask", "labels"])
@pytest.mark.slow
def test_one_channel_is_read_by_its_type_or_declared(end: str, tmp_path: Path) -> None:
    model, path = Ends(end).eval(), str(tmp_path / "one.onnx")
    x = torch.rand(2, 3, 16, 20)
    torch.onnx.export(model, (x,), dynamo=True, verbose=False).save(path)
    if end == "probability":
        with pytest.raises(InputError, match="--binary probability"):
            open_model(path)
    options: dict[str, Any] = {"probability": {"binary": end}, "labels": {"num_classes": 2}}
    loaded = open_model(path, **options.get(end, {}))
    smooth = cs.Smoothed(loaded.model, cs.Gaussian(0.1), loaded.num_classes)
    with torch.inference_mode():
        expected = (4 * model.conv(x[:1]))[0, 0].sigmoid().numpy() > 0.5
    assert np.array_equal(smooth.predict_clean(x[0]), expected)


@pytest.mark.parametrize("name", ["any.onnx", "one.onnx", "two.onnx"])
def test_the_logits_are_those_of_the_network(folder: Path, name: str) -> None:
    """Whatever batch the file is for: of 3 draws the last goes through "two" with a filler."""
    x = torch.rand(3, 3, 16, 20)
    with torch.inference_mode():
        torch.testing.assert_close(load_onnx(folder / name)(x), network()(x), atol=1e-5, rtol=1e-4)


def test_certifies_the_labels_that_torch_certifies(folder: Path) -> None:
    x = torch.rand(3, 14, 18)
    certificates = [
        cs.Smoothed(model, cs.Gaussian(0.1)).certify(x, 60, tau=0.6, seed=5)
        for model in (load_onnx(folder / "any.onnx"), network())
    ]
    votes = [certificate.votes.counts for certificate in certificates]
    # Equal but for draws in which two logits differ by rounding alone.
    assert np.abs(votes[0].astype(int) - votes[1]).sum() <= 4
    assert certificates[0].certified.any()


def test_an_attack_is_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match="pass the PyTorch model itself"):
        cs.attack(load_onnx(folder / "any.onnx"), torch.rand(3, 16, 20), epsilon=0.1, steps=1)


def test_certifies_a_picture_from_the_command_line(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "street.png"
    pixels = np.random.default_rng(0).integers(0, 256, (14, 18, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(picture)
    command = f"certify {picture} --model {folder / 'any.onnx'} -n 60 --tau 0.6 -o {tmp_path / 'o'}"
    assert run(command.split()) == 0
    record = json.loads((tmp_path / "o" / "results.jsonl").read_text())
    assert record["size"] == [14, 18]
    assert str(folder / "any.onnx")[:20] in record["statement"]
    assert cs.verify(cs.Certificate.load(tmp_path / "o" / "street.cert.npz")) is None


def test_one_of_several_outputs_is_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"one output among logits, labels, got none"):
        load_onnx(folder / "both.onnx")
    with pytest.raises(InputError, match=r"got 'scores'"):
        load_onnx(folder / "both.onnx", "scores")
    x = torch.rand(2, 3, 12, 13)
    labels = load_onnx(folder / "both.onnx", "labels")(x)
    logits = load_onnx(folder / "both.onnx", "logits")(x)
    assert torch.equal(labels, logits.argmax(1, keepdim=True))
    loaded = load_model(f"onnx:{folder / 'both.onnx'}:labels")
    assert (loaded.num_classes, loaded.channels, loaded.kind) == (None, 3, "images")
    assert load_model(f"onnx:{folder / 'both.onnx'}:logits").num_classes == 4


def test_half_precision_is_given_halves(folder: Path, tmp_path: Path) -> None:
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [onnx.helper.make_node("Neg", ["x"], ["y"])],
            "halves",
            [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT16, ["b", 2, "h", "w"])],
            [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, ["b", 2, "h", "w"])],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=8,
    )
    onnx.save(model, tmp_path / "half.onnx")
    y = load_onnx(tmp_path / "half.onnx")(torch.full((1, 2, 3, 3), 0.1))
    assert y.dtype == torch.float16
    assert torch.equal(y, torch.full((1, 2, 3, 3), -0.1).half())


def test_names_of_classes_come_from_the_metadata(folder: Path, tmp_path: Path) -> None:
    for text, classes in (
        ('["road", "car", "sky", "tree"]', ("road", "car", "sky", "tree")),
        ("{0: 'road', 1: 'car', 2: 'sky', 3: 'tree'}", ("road", "car", "sky", "tree")),
        ('["road"]', None),
        ("__import__('os')", None),
    ):
        model = onnx.load(str(folder / "any.onnx"))
        entry = model.metadata_props.add()
        entry.key, entry.value = "names", text
        onnx.save(model, tmp_path / "named.onnx")
        assert load_model(str(tmp_path / "named.onnx")).classes == classes


def test_the_fingerprint_is_that_of_all_the_bytes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in another process; another for other weights, beside the file too, and outputs."""
    model = load_onnx(folder / "any.onnx")
    first, name, not_covered, _ = model_fingerprint(model)
    assert not_covered == ()
    for draws in (1, 3):
        model(torch.rand(draws, 3, 16, 20))
    assert model_fingerprint(model)[0] == first
    monkeypatch.setattr(fingerprint, "_PROCESS", "another")
    assert model_fingerprint(load_onnx(folder / "any.onnx"))[:2] == (first, name)
    model = onnx.load(str(folder / "any.onnx"))
    onnx.save(
        model, tmp_path / "split.onnx", save_as_external_data=True, location="w.bin",
        size_threshold=0,
    )  # fmt: skip
    split = model_fingerprint(load_onnx(tmp_path / "split.onnx"))[0]
    weights = bytearray((tmp_path / "w.bin").read_bytes())
    weights[0] ^= 1
    (tmp_path / "w.bin").write_bytes(weights)
    both = [model_fingerprint(load_onnx(folder / "both.onnx", o))[0] for o in ("logits", "labels")]
    assert len({first, split, model_fingerprint(load_onnx(tmp_path / "split.onnx"))[0], *both}) == 5


@pytest.mark.parametrize("kind", ["dropout", "noise", "batch", "dynamic"])
def test_random_or_training_nodes_are_refused(kind: str, tmp_path: Path) -> None:
    """What mixes the draws of a batch or has noise of its own; the same graph without it passes."""
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    nodes = {
        "dropout": [
            helper.make_node(
                "Constant", [], ["on"],
                value=helper.make_tensor("t", onnx.TensorProto.BOOL, [], [True]),
            ),
            helper.make_node("Dropout", ["x", "", "on"], ["y"]),
        ],
        "noise": [
            helper.make_node("RandomNormalLike", ["x"], ["n"]),
            helper.make_node("Add", ["x", "n"], ["y"]),
        ],
        "batch": [
            helper.make_node(
                "BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "m", "v"], training_mode=1
            )
        ],
        "dynamic": [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
        ],
        "well": [
            helper.make_node(
                "Constant", [], ["off"],
                value=helper.make_tensor("t", onnx.TensorProto.BOOL, [], [False]),
            ),
            helper.make_node("Dropout", ["x", "", "off"], ["y"]),
        ],
    }  # fmt: skip
    side = ["b", 2, "h", "w"]

    def save(which: str) -> Path:
        graph = helper.make_graph(
            nodes[which],
            which,
            [helper.make_tensor_value_info("x", floats, side)],
            [helper.make_tensor_value_info("y", floats, side)],
            [helper.make_tensor("s", floats, [2], [1.0, 1.0])],
        )
        opset = [helper.make_opsetid("", 15)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.save(model, tmp_path / f"{which}.onnx")
        return tmp_path / f"{which}.onnx"

    with pytest.raises(InputError, match=r"(mode|alone), got a node"):
        load_onnx(save(kind))
    assert load_onnx(save("well"))(torch.rand(1, 2, 4, 4)).shape == (1, 2, 4, 4)


def beside(folder: Path, tmp_path: Path, location: str) -> Path:
    """any.onnx, with its weights in w.bin, under another name for them."""
    model = onnx.load(str(folder / "any.onnx"))
    path = tmp_path / "beside.onnx"
    onnx.save(
        model, path, save_as_external_data=True, location="w.bin", size_threshold=0
    )  # fmt: skip
    model = onnx.load(str(path), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = location if entry.key == "location" else entry.value
    onnx.save(model, path)
    return path


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("location", "word"),
    [
        ("/dev/zero", "a file outside of the model's folder"),
        ("../w.bin", "a file outside of the model's folder"),
        ("out.bin", "a file outside of the model's folder"),
        ("pipe.bin", "a pipe or device"),
        ("none.bin", "No such file"),
        ("", "a folder"),
    ],
)
def test_weights_elsewhere_are_refused(
    location: str, word: str, folder: Path, tmp_path: Path
) -> None:
    """Absolute, above the folder, by a link, in a pipe; nor is a file of that name read."""
    inside = tmp_path / "inside"
    inside.mkdir()
    path = beside(folder, inside, location)
    (tmp_path / "w.bin").write_bytes((inside / "w.bin").read_bytes())
    (inside / "out.bin").symlink_to(tmp_path / "w.bin")
    os.mkfifo(inside / "pipe.bin")
    with pytest.raises(InputError, match=f"weights in files beside it, got {word}") as caught:
        load_onnx(path)
    assert "\n" not in str(caught.value)


def test_weights_in_a_folder_of_their_own_are_read(folder: Path, tmp_path: Path) -> None:
    path = beside(folder, tmp_path, "weights/w.bin")
    (tmp_path / "weights").mkdir()
    (tmp_path / "w.bin").rename(tmp_path / "weights" / "w.bin")
    x = torch.rand(1, 3, 8, 9)
    torch.testing.assert_close(load_onnx(path)(x), load_onnx(folder / "any.onnx")(x))


def test_what_is_checked_is_what_is_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both files are gone when ONNX Runtime starts, and it runs what they held."""
    path = beside(folder, tmp_path, "w.bin")
    x = torch.rand(1, 3, 8, 9)
    expected = load_onnx(path)(x)
    check = onnx_module.weights_beside

    def checked(*given: Any) -> Any:
        found = check(*given)
        path.write_bytes(b"other")
        (tmp_path / "w.bin").write_bytes(b"other")
        return found

    monkeypatch.setattr(onnx_module, "weights_beside", checked)
    assert torch.equal(load_onnx(path)(x), expected)


def test_bad_files_are_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model at all, however it is read")
    whole = (folder / "any.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("missing", "text", "cut"):
        with pytest.raises(InputError, match="expected an ONNX file") as caught:
            load_onnx(tmp_path / f"{name}.onnx")
        assert "\n" not in str(caught.value)


def test_other_sizes_and_channels_are_one_line(folder: Path, tmp_path: Path) -> None:
    model = load_onnx(folder / "one.onnx")
    with pytest.raises(InputError, match=r"shape \(3, 16, 20\), which the ONNX file has"):
        model(torch.rand(1, 3, 17, 20))
    with pytest.raises(InputError, match=r"shape \(3, any, any\)"):
        load_onnx(folder / "any.onnx")(torch.rand(1, 1, 17, 20))
    resized = Preprocess(model, size=(16, 20)).eval()
    assert resized(torch.rand(2, 3, 33, 41)).shape == (2, 4, 33, 41)
    picture = tmp_path / "large.png"
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(picture)
    with pytest.raises(InputError, match="which the ONNX file has"):
        certify_images(
            [picture], load_model(str(folder / "one.onnx")), Settings(), tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_cuda_is_asked_for_float32(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU: what the session is given. The CPU then runs it."""
    import onnxruntime

    given: list[Any] = []
    make, available = onnxruntime.InferenceSession, onnxruntime.get_available_providers()

    def session(model: Any, options: Any, providers: Any) -> Any:
        given.extend(providers)
        return make(model, options, providers=["CPUExecutionProvider"])

    cuda = "CUDAExecutionProvider"
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [cuda, *available])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    load_onnx(folder / "any.onnx", providers=[cuda, "CPUExecutionProvider"])
    assert given == [(cuda, {"use_tf32": "0"}), ("CPUExecutionProvider", {})]


def test_unknown_providers_are_refused(folder: Path) -> None:
    with pytest.raises(InputError, match=r"expected providers among .*CPUExecutionProvider"):
        load_onnx(folder / "any.onnx", providers=["NoSuchProvider"])


def test_a_missing_package_gives_the_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'certiseg\[onnx\]'"):
        load_onnx(folder / "any.onnx")
