"""Checkpoints from other projects: read without running code in them, and checked for fit."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from certiseg.errors import InputError, first_line
from certiseg.files.reading import CHECKPOINT, MODEL, open_bounded, read_bounded

# NumPy numbers that trainings store beside the weights, under old and new names.
_NUMBERS: list[Any] = [
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
    np.dtype,
    type(np.dtype(np.float64)),
]
_INSIDE = ("state_dict", "model_state_dict", "model")
"""Keys under which checkpoints usually hold the weights."""
_WRAPPERS = ("module.", "_orig_mod.")
"""Prefixes of all weights: of training on several GPUs, and of torch.compile."""
_HOLDERS = ("model.", "net.", "network.")
"""Prefixes of all weights of a module that held the network, as a LightningModule does."""
_COUNTER = "num_batches_tracked"
"""Buffer of batch norm, not used in a pass and missing from old checkpoints."""


def read_checkpoint(path: str | Path) -> Any:
    """The content of a file written by torch.save or safetensors, on the CPU. No code in the file
    is run.

    Raises InputError: no such file, or another kind of file.
    """
    try:
        if Path(path).suffix == ".safetensors":
            return safetensors.torch.load(read_bounded(path, MODEL))
        with open_bounded(path, CHECKPOINT) as file:
            check_stored(file)
            with torch.serialization.safe_globals(_NUMBERS):
                return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        reason = error.strerror or "no such file"
        raise InputError(f"expected a checkpoint at {path}, got {reason}; check the path") from None
    except Exception as error:  # torch's unpickler fails in any way
        first = first_line(error).split(". ")[0]
        raise InputError(
            f"{path}: expected a checkpoint of weights alone, got {first[:120]}; save its "
            "state_dict() with torch.save"
        ) from None


def check_stored(file: BinaryIO) -> None:
    """Raise ValueError for a torch.save archive that would unpack to more than its size, or with
    two tables of contents, of which torch may read the one that is not checked here."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    magic = file.read(4)
    if magic == b"PK\3\4":
        file.seek(max(0, size - 98))
        end = file.read()
        record, locator = end[:-42], end[-42:-22]
        found = struct.unpack("<4sLQL", locator) if len(locator) == 20 else (b"",)
        if end[-22:-18] != b"PK\5\6" or (
            found[0] == b"PK\6\7" and (found[2] != size - 98 or record[:4] != b"PK\6\6")
        ):
            raise ValueError("an archive with another end than torch.save writes")
        with zipfile.ZipFile(file) as archive:
            if sum(member.file_size for member in archive.infolist()) > size:
                raise ValueError("a compressed archive")
    file.seek(0)


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The weights in a checkpoint by name. Raises InputError as ``read_checkpoint`` and
    ``weights_in`` do."""
    return weights_in(read_checkpoint(path), str(path))


def weights_in(content: Any, name: str) -> dict[str, Tensor]:
    """The weights by name: the content itself, or its entry under a usual key.

    name: what errors call the file. Raises InputError if there are none.
    """
    if isinstance(content, Mapping):
        inside = next((key for key in _INSIDE if isinstance(content.get(key), Mapping)), None)
        content = content if inside is None else content[inside]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise InputError(
            f"{name}: expected weights by name, got {type(content).__name__}; pass a checkpoint "
            'with "state_dict" or "model_state_dict"'
        )
    return _without(_WRAPPERS, {str(key): value for key, value in content.items()})


def _without(prefixes: tuple[str, ...], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights without those prefixes that all of them share."""
    found = dict(given)
    while found and (shared := next((p for p in prefixes if _all_start(found, p)), None)):
        found = {key.removeprefix(shared): value for key, value in found.items()}
    return found


def _all_start(given: Mapping[str, Tensor], prefix: str) -> bool:
    return all(key.startswith(prefix) for key in given)


def fill(network: nn.Module, given: Mapping[str, Tensor], name: str, of: str) -> None:
    """Load the weights of the file `name` into the network `of`.

    A prefix common to all of them, such as "model.", is removed unless the network has it, too.
    Raises InputError as ``check_fit``.
    """
    expected = network.state_dict()
    given = _without(tuple(p for p in _HOLDERS if not _all_start(expected, p)), given)
    check_fit(network, given, name, of)
    network.load_state_dict(given)


def check_fit(network: nn.Module, given: Mapping[str, Tensor], name: str, of: str) -> None:
    """Raise InputError unless names and shapes agree; counters of batch norm may be missing."""
    wanted = network.state_dict()
    faults = {
        "missing": [key for key in wanted if key not in given and not key.endswith(_COUNTER)],
        "unknown": [key for key in given if key not in wanted],
        "of another shape": [
            f"{key} {tuple(given[key].shape)} instead of {tuple(value.shape)}"
            for key, value in wanted.items()
            if key in given and given[key].shape != value.shape
        ],
    }
    found = "; ".join(
        f"{len(keys)} {kind} ({first_of(keys)})" for kind, keys in faults.items() if keys
    )
    if found:
        raise InputError(f"{name}: expected the weights of {of}, got {found}; another network")


def first_of(keys: list[str]) -> str:
    """The first three names, followed by dots if there are more."""
    return f"{', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''}"
