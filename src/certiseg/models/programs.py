"""Programs of torch.fx (made by torch.export): checks of the operators in their graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn


def unfit_node(program: nn.Module) -> str | None:
    """Describe the first node that mixes the draws of a batch or is random; None if there is none.

    A program has no training mode: dropout and batch statistics are operators of its graph.
    """
    for module in nn.Module.modules(program):
        graph = getattr(module, "graph", None)  # of torch.fx, including unflattened programs
        if isinstance(graph, fx.Graph):
            for node in graph.nodes:
                if node.op == "call_function" and _unfit(node):
                    return f"{node.target} ({node.name})"
    return None


def _unfit(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return False
    given = {arg.name: value for arg, value in zip(schema.arguments, node.args, strict=False)}
    given = {**given, **node.kwargs}
    for arg in schema.arguments:
        value: Any = given.get(arg.name, arg.default_value if arg.has_default_value() else None)
        if arg.name in ("train", "training"):
            # For native_dropout, None means training too.
            return value is None or bool(value)
        if arg.name == "dropout_p":
            return bool(value)
    return torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())
