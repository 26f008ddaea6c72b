"""A torch.export program (.pt2) as a base model."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.files.reading import MODEL, read_bounded
from certiseg.models.adapters.archive import checked_archive
from certiseg.models.adapters.file_model import FileModel
from certiseg.models.adapters.sizes import Guards
from certiseg.models.programs import unfit_node
from certiseg.outputs.tensors import tensor_of
from certiseg.own_code import reason


class ExportedModel(FileModel):
    """The output of a program. guards: its assumptions on the sides of the input."""

    fixed_by, freed_by = "the program was exported for", "dynamic_shapes"

    def __init__(
        self, program: nn.Module, shape: tuple[int | None, ...], guards: Guards, digest: str
    ) -> None:
        super().__init__(shape, digest)
        self.program = program
        self.guards = guards

    def train(self, mode: bool = True) -> ExportedModel:
        """Sets only the flag: the mode of a program is that of its export, which is checked."""
        self.training = mode
        return self

    def extra_repr(self) -> str:
        return f"sha256={self.digest}"

    def _run(self, x: Tensor) -> Tensor:
        return tensor_of(self.program(x))[0]

    def _check(self, x: Tensor) -> None:
        super()._check(x)
        self.guards.check((self.shape[0] or len(x), *x.shape[1:]))


def load_exported(path: str | Path) -> ExportedModel:
    """Load a file that torch.export.save wrote, as a base model on [0, 1] inputs.

    torch gets a new archive with the checked content (``archive.checked_archive``): nothing is
    unpickled.

    Args:
        path: a program of one tensor of floats, exported in evaluation mode. Normalisation must be
            in it, or around it (``certiseg.models.Preprocess``).

    Raises:
        InputError: no such file, or another program.
    """
    path = Path(path)
    try:
        content = read_bounded(path, MODEL)
    except OSError as error:
        raise InputError(
            f"{path}: expected a .pt2 file, got {error.strerror}; check the path"
        ) from None
    archive, guards = checked_archive(content, path)
    digest = hashlib.sha256(content).hexdigest()
    del content
    try:
        exported = torch.export.load(archive)
        # ExportedModel checks them.
        free = "check_guards" in inspect.signature(exported.module).parameters
        program = exported.module(check_guards=False) if free else exported.module()
    except Exception as error:  # torch's deserialiser fails in any way
        raise InputError(
            f"{path}: expected a program that this torch loads, got {reason(error)[:160]}; "
            "export it with this version of torch"
        ) from None
    wrong = unfit_node(program)
    if wrong is not None:
        raise InputError(
            f"{path}: expected a program exported in evaluation mode, got {wrong}; call "
            "model.eval() before torch.export.export"
        )
    return ExportedModel(program, _shape(exported, path), guards, digest)


def _shape(exported: Any, path: Path) -> tuple[int | None, ...]:
    """Sides of its input, None for dynamic ones."""
    names = exported.graph_signature.user_inputs
    values = [
        node.meta.get("val")
        for node in exported.graph.nodes
        if node.op == "placeholder" and node.name in names
    ]
    if len(values) != 1 or not isinstance(values[0], Tensor) or values[0].ndim not in (4, 5):
        raise InputError(
            f"{path}: expected a program of one tensor (B, C, H, W) or (B, C, D, H, W), got "
            f"{len(values)} inputs: {', '.join(map(str, names)) or 'none'}; export a segmentation "
            "model"
        )
    (value,) = values
    if not value.is_floating_point():
        raise InputError(
            f"{path}: expected a program of floats, got {value.dtype}; put the conversion into it"
        )
    return tuple(side if type(side) is int else None for side in value.shape)
