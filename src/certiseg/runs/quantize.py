"""An int8 model made from a float32 one, calibrated under noise, and stored as an ONNX file.

It is a base model of its own, with its own votes and fingerprint: what is certified is what runs.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg._version import __version__
from certiseg.datasets.image_file import IMAGE_SUFFIXES
from certiseg.datasets.images import read_image
from certiseg.datasets.pairs import files_in
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write
from certiseg.files.folders import locked
from certiseg.models.adapters.onnx import file_and_output, load_named, read_program
from certiseg.models.adapters.onnx_file import UPSAMPLING
from certiseg.models.libraries import library
from certiseg.models.loaded import LoadedModel
from certiseg.noise import Gaussian
from certiseg.outputs.low_resolution import LowResolutionLogits, low_resolution_form
from certiseg.outputs.tensors import tensor_of
from certiseg.own_code import reason
from certiseg.runs.environment import processor
from certiseg.runs.model import channels_of, open_model
from certiseg.sampling.fingerprint import model_fingerprint

IMAGES = 8
"""Number of calibration images by default."""
PROVENANCE = "certiseg"
"""Key of the file's metadata that says how it was made, as JSON."""
_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_PACKAGES = ("torch", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Quantised:
    """The written file. record: source, calibration and versions, as in the file. agreement: share
    of pixels under noise whose label the source gives too, on the calibration images with other
    noise."""

    path: Path
    record: dict[str, Any]
    agreement: float


def quantize(
    spec: str,
    images: str | Path,
    out: str | Path,
    *,
    sigma: float = 0.25,
    limit: int = IMAGES,
    seed: int = 0,
    channels: int | None = None,
    overwrite: bool = False,
) -> Quantised:
    """Write the int8 form of a model, as an ONNX file that ``certiseg.load_model`` reads.

    Weights have one scale for each output channel, activations one for each tensor, set by their
    range over noisy calibration images. Calibration noise comes from another generator than draws,
    so that the file is independent of the votes cast with it. Calibrate on images that are not
    certified: on those, accuracy would look too high.

    Args:
        spec: the model, as in ``certiseg.load_model``: any that ``torch.onnx.export`` exports, or
            an ONNX file with its weights inside.
        images: folder of calibration images, all of the size that will be certified.
        out: the file, with the suffix .onnx.
        sigma: noise level of the calibration, which should be that of the certificates.
        limit: number of calibration images, taken at equal steps through the sorted folder.
        seed: of the calibration noise.
        channels: of the model's inputs, if its source does not state them.
        overwrite: replace a file that certiseg wrote.

    Raises:
        InputError: for invalid arguments, and models that cannot be exported or quantised.
    """
    target = Path(out)
    if target.suffix != ".onnx":
        raise InputError(f"expected a file name ending in .onnx, got {target}; add the ending")
    if limit < 1:
        raise InputError(f"expected --limit 1 or more, got {limit}; {IMAGES} is usual")
    if seed < 0:
        raise InputError(f"expected --seed 0 or more, got {seed}; any number will do")
    noise = Gaussian(sigma)
    loaded = open_model(spec, channels=channels)
    if loaded.kind not in (None, "images") or loaded.binary is not None:
        what = f"one of {loaded.kind}" if loaded.binary is None else "one with a binary output"
        raise InputError(
            f"expected a model of images with logits of at least 2 classes, got {spec}, {what}; "
            "certify it as it is"
        )
    files = _spaced([path for path, _ in files_in(Path(images), IMAGE_SUFFIXES)], limit)
    inputs = _read(files, channels_of(loaded))
    with locked(target.parent, [target.name], overwrite):
        program, enlarged = _program(spec, loaded, inputs[0])
        record = {
            "precision": "int8, static",
            "source": {"model": spec, "sha256": model_fingerprint(loaded.model).sha256},
            "calibration": {
                "images": {
                    path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files
                },
                "noise": noise.describe(),
                "seed": seed,
            },
            "versions": {"certiseg": __version__, **{name: version(name) for name in _PACKAGES}},
            "processor": processor(),
        }
        noisy = [_noisy(x, sigma, (seed, number)) for number, x in enumerate(inputs)]
        made = _quantised(program, noisy, spec)
        facts = {PROVENANCE: json.dumps(record)}
        if enlarged:
            facts[UPSAMPLING] = "bilinear"
        if loaded.classes is not None:
            facts["classes"] = json.dumps(loaded.classes)
        library("onnx", "onnx").helper.set_model_props(made, facts)
        atomic_write(target, made.SerializeToString())
    other = [_noisy(x, sigma, (seed, number, 1)) for number, x in enumerate(inputs)]
    return Quantised(target, record, _agreement(loaded, load_named(str(target)), other))


def _spaced(paths: list[Path], limit: int) -> list[Path]:
    """At most `limit` of the paths, at equal steps."""
    edges = np.linspace(0, len(paths), min(limit, len(paths)) + 1).astype(int)
    return [paths[start] for start, _ in pairwise(edges)]


def _read(files: list[Path], channels: int) -> list[NDArray[np.float32]]:
    inputs = [read_image(path, channels) for path in files]
    sizes = {x.shape[1:]: path for x, path in zip(inputs, files, strict=True)}
    if len(sizes) != 1:
        (size, file), (other_size, other), *_ = sizes.items()
        raise InputError(
            f"expected calibration images of one size, got {size[0]} x {size[1]} ({file}) and "
            f"{other_size[0]} x {other_size[1]} ({other}); put those of one size into a folder"
        )
    return inputs


def _noisy(x: NDArray[np.float32], sigma: float, seed: tuple[int, ...]) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    return (x + sigma * generator.standard_normal(x.shape))[None].astype(np.float32)


class _Scores(nn.Module):
    """The model's scores as one tensor, before a final bilinear upsampling."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        output = low_resolution_form(self.model)(x)
        if isinstance(output, LowResolutionLogits):
            return output.logits
        found: Tensor = tensor_of(output)[0]
        return found


def _program(spec: str, loaded: LoadedModel, x: NDArray[np.float32]) -> tuple[Any, bool]:
    """The model as ONNX, for inputs of this size, and whether its logits are to be upsampled."""
    model = loaded.model
    if spec.startswith("onnx:") or spec.endswith(".onnx"):
        return _float_file(spec), False
    if not isinstance(model, nn.Module):
        raise InputError(
            f"expected a PyTorch module or an ONNX file, got {spec}, a function; certify it as it "
            "is"
        )
    library("onnxscript", "onnx")
    scores, pair = _Scores(model).eval(), torch.from_numpy(np.stack([x, x]))
    try:
        with torch.inference_mode():
            output = low_resolution_form(model)(pair)
        low = isinstance(output, LowResolutionLogits) or tensor_of(output)[1]
        with _quiet():
            exported = torch.onnx.export(
                scores,
                (pair,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["image"],
                output_names=["logits"],
                verbose=False,
            )
    except Exception as error:  # it runs any model's code
        raise InputError(
            f"expected a model that torch.onnx.export exports, got {reason(error)[:200]}; certify "
            "it as it is, or export it yourself and pass the ONNX file"
        ) from None
    assert exported is not None
    return exported.model_proto, low


def _float_file(spec: str) -> Any:
    onnx = library("onnx", "onnx")
    name, output = file_and_output(spec.removeprefix("onnx:"))
    path = Path(name)
    _, program, beside = read_program(path)
    if beside:
        raise InputError(
            f"expected a file with its weights inside, got {path} with {', '.join(beside)[:80]} "
            "beside it; save the model in one file"
        )
    if any(node.op_type == "QuantizeLinear" for node in program.graph.node):
        raise InputError(
            f"expected a model in float32, got {spec}, which is quantised; certify it as it is"
        )
    given = program.graph.input[0].type.tensor_type
    if given.elem_type != onnx.TensorProto.FLOAT or given.shape.dim[0].dim_value > 1:
        raise InputError(
            f"expected a file that takes float32 and any number of inputs, got {spec}, which takes "
            "another type or number; export it in float32 with a dynamic batch"
        )
    for other in [entry for entry in program.graph.output if output not in (None, entry.name)]:
        program.graph.output.remove(other)
    return program


class _Reader:
    """Calibration inputs, as ONNX Runtime's CalibrationDataReader gives them."""

    def __init__(self, name: str, noisy: list[NDArray[np.float32]]) -> None:
        self.left = ({name: x} for x in noisy)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self.left, None)


def _quantised(program: Any, noisy: list[NDArray[np.float32]], spec: str) -> Any:
    """The program with quantised weights and activations (QDQ)."""
    onnx = library("onnx", "onnx")
    tools = library("onnxruntime.quantization", "onnx")
    prepare = library("onnxruntime.quantization.shape_inference", "onnx").quant_pre_process
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, ready, made = (str(Path(folder) / f"{step}.onnx") for step in range(3))
        try:
            onnx.save(program, plain)
            prepare(plain, ready, skip_symbolic_shape=True)
            named = _named(onnx.load(ready))
            onnx.save(named, ready)
            tools.quantize_static(
                ready,
                made,
                _Reader(program.graph.input[0].name, noisy),
                quant_format=tools.QuantFormat.QDQ,
                per_channel=True,
                activation_type=tools.QuantType.QUInt8,
                weight_type=tools.QuantType.QInt8,
                calibrate_method=tools.CalibrationMethod.MinMax,
                nodes_to_exclude=_from_last_layer(named),
            )
        except Exception as error:  # its errors share no base class
            raise InputError(
                f"expected a model that ONNX Runtime quantises, got {reason(error)[:200]} for "
                f"{spec}; certify it as it is"
            ) from None
        result = onnx.load(made)
    if not any(node.op_type == "QuantizeLinear" for node in result.graph.node):
        raise InputError(
            f"expected a model of at least two layers with weights, got {spec}, in which nothing "
            "but its last layer could be quantised; certify it as it is"
        )
    # The exporter writes stack traces with paths of this machine into nodes and values.
    for entry in (*result.graph.node, *result.graph.value_info, *result.graph.initializer):
        del entry.metadata_props[:]
    for entry in (*result.graph.input, *result.graph.output, result.graph, *result.functions):
        del entry.metadata_props[:]
    return result


def _named(program: Any) -> Any:
    """The program with a name for each node; files need not have any."""
    for place, node in enumerate(program.graph.node):
        node.name = f"{place}:{node.name}"
    return program


def _from_last_layer(program: Any) -> list[str]:
    """Names of the nodes from the last layer with weights on, which stay in float32: logits of
    eight bits are often equal, and equal logits are decided the slow way."""
    nodes = program.graph.node
    layers = [place for place, node in enumerate(nodes) if node.op_type in _LAYERS]
    return [node.name for node in nodes[layers[-1] :]] if layers else []


def _agreement(source: LoadedModel, made: LoadedModel, noisy: list[NDArray[np.float32]]) -> float:
    """Share of pixels on which the labels of both are equal."""
    equal = []
    with torch.inference_mode():
        for x in map(torch.from_numpy, noisy):
            one, two = (tensor_of(side.model(x))[0] for side in (source, made))
            labels = [y.argmax(1) if y.is_floating_point() else y for y in (one, two)]
            equal.append(float((labels[0] == labels[1]).float().mean()))
    return float(np.mean(equal))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the messages of the exporter and of ONNX Runtime, which ask for other options."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
