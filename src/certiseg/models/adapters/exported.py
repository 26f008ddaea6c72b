"""A torch.export program (.pt2) as a base model."""

from __future__ import annotations

import hashlib
import inspect
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.adapters.archive import check_archive
from certiseg.models.adapters.programs import unfit_node
from certiseg.models.adapters.sides import check_sides
from certiseg.models.loaded import LoadedModel, reason
from certiseg.models.outputs import tensor_of


class ExportedModel(nn.Module):
    """What the program returns for inputs (B, channels, *size): logits or integer labels.

    A fixed batch size is kept to by going through the batch in parts, the last filled up by zeros.
    The fingerprint holds that of the file's bytes.
    """

    def __init__(self, program: nn.Module, shape: tuple[int | None, ...], digest: str) -> None:
        super().__init__()
        self.program = program
        self.shape = shape
        self.digest = digest
        self.training = False

    def train(self, mode: bool = True) -> ExportedModel:
        """Nothing but the flag: a program has the mode it was exported in, which is checked."""
        self.training = mode
        return self

    def extra_repr(self) -> str:
        return f"sha256={self.digest}"

    def forward(self, x: Tensor) -> Tensor:
        check_sides(x, self.shape, "the program was exported for", "dynamic_shapes")
        fixed = self.shape[0]
        if fixed is None:
            return tensor_of(self.program(x))[0]
        return torch.cat([self._run(part, fixed) for part in x.split(fixed)])

    def _run(self, part: Tensor, fixed: int) -> Tensor:
        missing = fixed - len(part)
        filled = torch.cat([part, part.new_zeros((missing, *part.shape[1:]))]) if missing else part
        return tensor_of(self.program(filled))[0][: len(part)]


def load_exported(path: str | Path) -> ExportedModel:
    """The program of a file that torch.export.save wrote, as a base model on [0, 1] inputs.

    Normalisation must be in the program, or around it (``certiseg.models.Preprocess``). It takes
    one tensor of floats and was exported in evaluation mode. The archive is checked beforehand
    (``archive.check_archive``): nothing is unpickled. Raises InputError.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected a .pt2 file, got no such file; check the path")
    check_archive(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        exported = torch.export.load(path)
        # Guards are Python source in the file; sizes are checked by ExportedModel instead.
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
    return ExportedModel(program, _shape(exported, path), digest)


def resolve_exported(spec: str, rest: str) -> LoadedModel:
    model = load_exported(rest)
    return LoadedModel(
        spec,
        model,
        channels=model.shape[1],
        kind="pictures" if len(model.shape) == 4 else "volumes",
    )


def _shape(exported: Any, path: Path) -> tuple[int | None, ...]:
    """Sides of its one input, None where dynamic."""
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
