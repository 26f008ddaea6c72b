"""Content of an ONNX file: nodes, bytes and class names."""

from __future__ import annotations

import ast
import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from certiseg.errors import InputError
from certiseg.files.reading import MODEL, read_bounded

UPSAMPLING = "certiseg.upsampling"
"""Key of metadata: "bilinear" if the logits are smaller than the input, to be upsampled to it."""
_RANDOM = (
    *("Bernoulli", "Multinomial"),
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
)


def check_text(model: Any, path: Path) -> None:
    """Raise InputError for text that is not UTF-8."""
    for message in _messages(model):
        for field, value in message.ListFields():
            if field.type != field.TYPE_STRING:
                continue
            # protobuf returns bytes for text that it cannot decode.
            if any(isinstance(t, bytes) for t in ([value] if isinstance(value, bytes) else value)):
                raise InputError(
                    f"{path}: expected an ONNX file with text in UTF-8, got other bytes in "
                    f"{message.DESCRIPTOR.name}.{field.name}; export the model again"
                )


def check_nodes(model: Any, path: Path) -> None:
    """Raise InputError for nodes that would mix the draws of a batch or be random."""
    off = {tensor.name for tensor in model.graph.initializer if _is_false(tensor)}
    off |= {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Constant" and any(_is_false(a.t) for a in node.attribute)
    }
    for node in _of(model, "NodeProto"):
        if node.op_type.startswith("DynamicQuantize"):
            raise InputError(
                f"{path}: expected a model that treats each draw of a batch alone, got a node "
                f"{node.op_type} {node.name!r}, whose batch shares one scale; quantise it "
                "statically"
            )
        training = any(a.name == "training_mode" and a.i == 1 for a in node.attribute)
        # The third input of Dropout is its mode.
        mode = node.input[2] if node.op_type == "Dropout" and len(node.input) > 2 else ""
        if node.op_type in _RANDOM or training or (mode and mode not in off):
            raise InputError(
                f"{path}: expected a model in evaluation mode, got a node {node.op_type} "
                f"{node.name!r} that is random or in training mode; call model.eval() before the "
                "export"
            )


def _is_false(tensor: Any) -> bool:
    """Whether a constant is a single boolean, False."""
    boolean = 9  # onnx.TensorProto.BOOL
    return tensor.data_type == boolean and not any([*tensor.raw_data, *tensor.int32_data])


def _messages(message: Any) -> Iterator[Any]:
    """The message and all messages inside: graphs, branches, functions, tensors."""
    yield message
    for _, value in message.ListFields():
        if hasattr(value, "ListFields"):
            yield from _messages(value)
        elif hasattr(value, "add"):
            for inner in value:
                yield from _messages(inner)


def _of(model: Any, kind: str) -> Iterator[Any]:
    return (message for message in _messages(model) if message.DESCRIPTOR.name == kind)


def weights_beside(model: Any, path: Path) -> dict[str, bytes]:
    """Contents of the files beside an ONNX file that hold its weights, by their names in the model.
    Raises InputError for a name that leads out of the file's folder."""
    names = {
        entry.value
        for tensor in _of(model, "TensorProto")
        for entry in tensor.external_data
        if entry.key == "location"
    }
    folder, found, left = path.parent.resolve(), {}, MODEL
    for name in sorted(names):
        try:
            file = (folder / name).resolve(strict=True)
            if Path(name).is_absolute() or not file.is_relative_to(folder):
                raise OSError(errno.EPERM, "a file outside of the model's folder")
            found[name] = read_bounded(file, left)
        except (OSError, ValueError) as error:
            raise InputError(
                f"{path}: expected weights in files beside it, got "
                f"{getattr(error, 'strerror', None) or 'no file'} for {name[:80]!r}; copy model "
                "and weights into one folder, or save the model in one file"
            ) from None
        left -= len(found[name])
    return found


def digest_of(content: bytes, beside: Mapping[str, bytes]) -> str:
    """SHA-256 of a file, and of the files beside it that hold its weights."""
    sha = hashlib.sha256(content)
    for name, weights in beside.items():
        sha.update(name.encode())
        sha.update(weights)
    return sha.hexdigest()


def class_names(metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    """Names from the metadata "classes" or "names": a list, or a mapping from label to name."""
    for key in ("classes", "names"):
        text = metadata.get(key)
        if text is None:
            continue
        try:
            names = json.loads(text)
        except ValueError:
            try:
                names = ast.literal_eval(text)
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
        if isinstance(names, Mapping):
            by_label = {str(label): name for label, name in names.items()}
            names = [by_label.get(str(label)) for label in range(len(by_label))]
        if isinstance(names, (list, tuple)) and all(isinstance(n, str) for n in names):
            return tuple(names)
    return None
