"""An ONNX file as a base model, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from certiseg.errors import InputError
from certiseg.files.reading import MODEL, read_bounded
from certiseg.models.adapters.file_model import FileModel
from certiseg.models.adapters.onnx_file import (
    UPSAMPLING,
    check_nodes,
    check_text,
    class_names,
    digest_of,
    weights_beside,
)
from certiseg.models.libraries import library
from certiseg.models.loaded import LoadedModel
from certiseg.models.preprocess import Preprocess
from certiseg.own_code import reason

_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
}
_CPU = ("CPUExecutionProvider",)
# By default CUDA multiplies float32 in TF32, with a mantissa of 10 bits; PyTorch does not.
_PROVIDER_OPTIONS = {"CUDAExecutionProvider": {"use_tf32": "0"}}


class OnnxModel(FileModel):
    """One output of an ONNX file as a model.

    It has a session and no parameters: inputs on any device are computed by the session's
    providers, in the file's dtype. The fingerprint covers the file's bytes, its external data, the
    output, the providers and ONNX Runtime's version.
    """

    # The digest covers it.
    not_fingerprinted = ("session",)
    fixed_by, freed_by = "the ONNX file has", "dynamic sizes"

    def __init__(self, session: Any, output: str, digest: str) -> None:
        (given,) = session.get_inputs()
        super().__init__(tuple(s if isinstance(s, int) else None for s in given.shape), digest)
        self.session = session
        self.output = output
        self.input = str(given.name)
        self.dtype = _TYPES[given.type]
        self.providers = tuple(session.get_providers())
        self.runtime = str(library("onnxruntime", "onnx").__version__)

    def extra_repr(self) -> str:
        return f"sha256={self.digest}, output={self.output}, providers={self.providers}"

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.detach().to("cpu", self.dtype).contiguous()).to(x.device)

    def _run(self, x: Tensor) -> Tensor:
        found = self.session.run([self.output], {self.input: x.numpy()})[0]
        if len(found) != len(x):
            raise InputError(
                f"expected one output for each of {len(x)} inputs, got shape {found.shape}; "
                "export it with a dynamic batch, or for one input at a time"
            )
        return torch.from_numpy(found)


def load_onnx(
    path: str | Path, output: str | None = None, *, providers: Sequence[str] = _CPU
) -> OnnxModel:
    """Load an ONNX file as a base model on [0, 1] inputs.

    Args:
        path: a file with one input, floats (B, channels, H, W) or (B, channels, D, H, W), each
            side fixed or dynamic. Normalisation must be in it, or around it
            (``certiseg.models.Preprocess``).
        output: the name of an output, where the file has several.
        providers: of ONNX Runtime, such as "CUDAExecutionProvider"; the default is the CPU.

    Raises:
        InputError: For a missing file, another kind of file or input, an unknown output, layers
            that are random or in training mode, and if ONNX Runtime is not installed.
    """
    path = Path(path)
    onnxruntime = library("onnxruntime", "onnx")
    content, model, beside = read_program(path)
    unknown = sorted(set(providers) - set(onnxruntime.get_available_providers()))
    if unknown or not providers:
        raise InputError(
            f"expected providers among {', '.join(onnxruntime.get_available_providers())}, got "
            f"{', '.join(unknown) or 'none'}; install another build of ONNX Runtime"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # The checked bytes are run: no file is opened again, and no other format is guessed.
    model.DiscardUnknownFields()
    options.add_session_config_entry("session.load_model_format", "ONNX")
    try:
        if beside:
            options.add_external_initializers_from_files_in_memory(
                list(beside), list(beside.values()), [*map(len, beside.values())]
            )
        chosen = [(name, _PROVIDER_OPTIONS.get(name, {})) for name in providers]
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=chosen)
    except Exception as error:  # its errors share no base class
        raise InputError(
            f"{path}: expected an ONNX file that ONNX Runtime runs, got {reason(error)[:200]}; "
            "export the model again"
        ) from None
    _check_input(session, path)
    return OnnxModel(session, _output(session, output, path), digest_of(content, beside))


def read_program(path: Path) -> tuple[bytes, Any, dict[str, bytes]]:
    """An ONNX file, read once and checked: its bytes, the model, and the weights in files beside
    it. Raises InputError as ``load_onnx``."""
    onnx = library("onnx", "onnx")
    try:
        content = read_bounded(path, MODEL)
        model = onnx.load_from_string(content)
    except OSError as error:
        raise InputError(
            f"{path}: expected an ONNX file, got {error.strerror}; check the path"
        ) from None
    except Exception as error:  # protobuf's errors share no base class
        raise InputError(
            f"{path}: expected an ONNX file, got {reason(error)}; export the model again"
        ) from None
    check_text(model, path)
    check_nodes(model, path)
    return content, model, weights_beside(model, path)


def load_named(rest: str) -> LoadedModel:
    """Load a file named FILE.onnx or FILE.onnx:OUTPUT on the command line.

    Logits of a file whose metadata state an ``UPSAMPLING`` are enlarged to the size of the input.
    """
    model = load_onnx(*file_and_output(rest))
    facts = model.session.get_modelmeta().custom_metadata_map
    classes = class_names(facts)
    found = next(o for o in model.session.get_outputs() if o.name == model.output)
    axes = len(model.shape)
    logits = found.type in _TYPES and len(found.shape) == axes and isinstance(found.shape[1], int)
    stated = found.shape[1] if logits else None
    # A single channel has one name, or one for each of its two labels.
    named = (1, 2) if stated == 1 else (stated,)
    if classes is not None and stated is not None and len(classes) not in named:
        classes = None
    if stated is None and classes is not None:
        stated = len(classes)
    loaded = replace(LoadedModel.of_model(rest, model), num_classes=stated, classes=classes)
    way = facts.get(UPSAMPLING)
    if way not in (None, "bilinear"):
        raise InputError(
            f"{rest}: expected bilinear as {UPSAMPLING} in its metadata, got {way!r:.40}; upsample "
            "the logits inside the file"
        )
    return loaded if way is None else replace(loaded, model=Preprocess(model))


def file_and_output(rest: str) -> tuple[str, str | None]:
    """The parts of FILE.onnx or FILE.onnx:OUTPUT."""
    file, colon, output = rest.rpartition(":")
    return (file, output) if colon and not Path(rest).is_file() else (rest, None)


def _check_input(session: Any, path: Path) -> None:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs) or "none"
        raise InputError(
            f"{path}: expected one input, got {names}; labels must depend on the image alone, "
            "fix the others when exporting"
        )
    (given,) = inputs
    if given.type not in _TYPES or len(given.shape) not in (4, 5):
        raise InputError(
            f"{path}: expected a float input (B, C, H, W) or (B, C, D, H, W), got {given.type} "
            f"{given.shape}; export a segmentation model, channels first"
        )


def _output(session: Any, output: str | None, path: Path) -> str:
    names = [str(entry.name) for entry in session.get_outputs()]
    if output is None and len(names) == 1:
        return names[0]
    if not names:
        raise InputError(f"{path}: expected an ONNX file with outputs, got none; export it again")
    if output not in names:
        given = "none" if output is None else repr(output)
        raise InputError(
            f"{path}: expected the name of one output among {', '.join(names)}, got {given}; "
            f"name it, onnx:{path}:{names[0]}"
        )
    return output
