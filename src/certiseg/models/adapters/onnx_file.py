"""What an ONNX file says of itself: its nodes, its bytes, the names of its classes."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from certiseg.errors import InputError

_RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)


def check_nodes(model: Any, path: Path) -> None:
    """Raise InputError for nodes that would mix the draws of a batch or add noise of their own."""
    off = {tensor.name for tensor in model.graph.initializer if _is_false(tensor)}
    off |= {
        node.output[0]
        for node in model.graph.node
        if node.op_type == "Constant" and any(_is_false(a.t) for a in node.attribute)
    }
    for node in _nodes(model):
        training = any(a.name == "training_mode" and a.i == 1 for a in node.attribute)
        # Dropout has its mode as the third input.
        mode = node.input[2] if node.op_type == "Dropout" and len(node.input) > 2 else ""
        if node.op_type in _RANDOM or training or (mode and mode not in off):
            raise InputError(
                f"{path}: expected a model in evaluation mode, got a node {node.op_type} "
                f"{node.name!r} that is random or in training mode; call model.eval() before the "
                "export"
            )


def _is_false(tensor: Any) -> bool:
    """Whether a constant is one boolean, and off."""
    boolean = 9  # onnx.TensorProto.BOOL
    return tensor.data_type == boolean and not any([*tensor.raw_data, *tensor.int32_data])


def _graphs(given: Sequence[Any]) -> Iterator[Any]:
    """The graphs (or functions), and those inside their nodes: branches, loops."""
    for graph in given:
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                inside = [attribute.g] if attribute.HasField("g") else []
                yield from _graphs([*inside, *attribute.graphs])


def _nodes(model: Any) -> Iterator[Any]:
    for graph in _graphs([model.graph, *model.functions]):
        yield from graph.node


def _tensors(model: Any) -> Iterator[Any]:
    for graph in _graphs([model.graph]):
        yield from graph.initializer
    for node in _nodes(model):
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)


def file_digest(path: Path, model: Any) -> str:
    """SHA-256 of the file, and of the files beside it that hold its weights."""
    sha = hashlib.sha256(path.read_bytes())
    beside = {
        entry.value
        for tensor in _tensors(model)
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for name in sorted(beside):
        sha.update(name.encode())
        sha.update((path.parent / name).read_bytes())
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
