"""An ONNX file as a base model, run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.adapters.onnx_file import check_nodes, class_names, file_digest
from certiseg.models.adapters.sides import check_sides
from certiseg.models.loaded import LoadedModel, reason

_TYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
}
_CPU = ("CPUExecutionProvider",)
# By default CUDA multiplies float32 with the ten bits of TF32, PyTorch with all of them.
_PROVIDER_OPTIONS = {"CUDAExecutionProvider": {"use_tf32": "0"}}


class OnnxModel(nn.Module):
    """Logits (B, classes, *size) or integer labels (B, *size) of inputs (B, channels, *size).

    It holds a session, no parameters: inputs of any device are computed by the session's providers,
    in the type that the file asks for. A fixed batch size is kept to by going through the batch in
    parts, the last filled up by zeros. The fingerprint is that of the file's bytes, of its external
    data, of the output, the providers and ONNX Runtime's version.
    """

    # The digest stands for it.
    not_fingerprinted = ("session",)

    def __init__(self, session: Any, output: str, digest: str) -> None:
        super().__init__()
        self.session = session
        self.output = output
        self.digest = digest
        (given,) = session.get_inputs()
        self.input = str(given.name)
        self.dtype = _TYPES[given.type]
        self.shape = tuple(side if isinstance(side, int) else None for side in given.shape)
        self.providers = tuple(session.get_providers())
        self.runtime = str(import_module("onnxruntime").__version__)
        self.training = False

    def extra_repr(self) -> str:
        return f"sha256={self.digest}, output={self.output}, providers={self.providers}"

    def forward(self, x: Tensor) -> Tensor:
        check_sides(x, self.shape, "the ONNX file has", "dynamic sizes")
        batch = x.detach().to("cpu", self.dtype).contiguous().numpy()
        parts = [self._run(part)[: len(part)] for part in self._parts(batch)]
        return torch.from_numpy(np.concatenate(parts)).to(x.device)

    def _parts(self, batch: NDArray[Any]) -> Iterator[NDArray[Any]]:
        step = self.shape[0] or len(batch)
        for start in range(0, len(batch), step):
            yield batch[start : start + step]

    def _run(self, part: NDArray[Any]) -> NDArray[Any]:
        fixed = self.shape[0]
        if fixed is not None and len(part) < fixed:
            rest = np.zeros((fixed - len(part), *part.shape[1:]), dtype=part.dtype)
            part = np.concatenate([part, rest])
        output: NDArray[Any] = self.session.run([self.output], {self.input: part})[0]
        if len(output) != len(part):
            raise InputError(
                f"expected one output for each of {len(part)} inputs, got shape {output.shape}; "
                "export it with a dynamic batch, or for one input at a time"
            )
        if output.dtype.kind in "iu" and output.ndim == part.ndim and output.shape[1] == 1:
            output = output[:, 0]  # labels with an axis for the one channel they came from
        return output


def load_onnx(
    path: str | Path, output: str | None = None, *, providers: Sequence[str] = _CPU
) -> OnnxModel:
    """A session over the file, as a base model on [0, 1] inputs.

    Normalisation must be in the file, or around it (``certiseg.models.Preprocess``). The file has
    one input, floats (B, channels, H, W) or (B, channels, D, H, W), each side fixed or dynamic.
    output: its name, where the file has several. providers: of ONNX Runtime, such as
    "CUDAExecutionProvider"; the default is the CPU. Raises InputError: no such file, another kind,
    another input, an output that is not there, layers that are random or in training mode.
    """
    path = Path(path)
    try:
        import onnx
        import onnxruntime
    except (ImportError, RuntimeError):
        raise InputError(
            "expected the packages onnx and onnxruntime for an ONNX file, got none that imports; "
            "pip install 'certiseg[onnx]'"
        ) from None
    if not path.is_file():
        raise InputError(f"{path}: expected an ONNX file, got no such file; check the path")
    try:
        graph = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's errors share no base class
        raise InputError(
            f"{path}: expected an ONNX file, got {reason(error)}; export the model again"
        ) from None
    check_nodes(graph, path)
    unknown = sorted(set(providers) - set(onnxruntime.get_available_providers()))
    if unknown or not providers:
        raise InputError(
            f"expected providers among {', '.join(onnxruntime.get_available_providers())}, got "
            f"{', '.join(unknown) or 'none'}; install another build of ONNX Runtime"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=_with_options(providers)
        )
    except Exception as error:  # its errors share no base class
        raise InputError(
            f"{path}: expected an ONNX file that ONNX Runtime runs, got {reason(error)[:200]}; "
            "export the model again"
        ) from None
    _check_input(session, path)
    return OnnxModel(session, _output(session, output, path), file_digest(path, graph))


def _with_options(providers: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    return [(name, _PROVIDER_OPTIONS.get(name, {})) for name in providers]


def resolve_onnx(spec: str, rest: str) -> LoadedModel:
    """The file a command names, FILE.onnx or FILE.onnx:OUTPUT."""
    file, colon, output = rest, "", ""
    if not Path(rest).is_file():
        file, colon, output = rest.rpartition(":")
    model = load_onnx(file if colon else rest, output if colon else None)
    classes = class_names(model.session.get_modelmeta().custom_metadata_map)
    shape = next(o.shape for o in model.session.get_outputs() if o.name == model.output)
    kind = next(o.type for o in model.session.get_outputs() if o.name == model.output)
    stated = shape[1] if kind in _TYPES and len(shape) > 1 and isinstance(shape[1], int) else None
    if classes is not None and stated not in (None, len(classes)):
        classes = None
    return LoadedModel(
        spec,
        model,
        len(classes) if stated is None and classes is not None else stated,
        classes,
        channels=model.shape[1],
        kind="pictures" if len(model.shape) == 4 else "volumes",
    )


def _check_input(session: Any, path: Path) -> None:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(entry.name for entry in inputs) or "none"
        raise InputError(
            f"{path}: expected one input, got {names}; a label is a function of the picture alone, "
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
    if output not in names:
        given = "none" if output is None else repr(output)
        raise InputError(
            f"{path}: expected the name of one output among {', '.join(names)}, got {given}; "
            f"name it, onnx:{path}:{names[0]}"
        )
    return output
