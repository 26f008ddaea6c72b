"""Checks of torch.export archives (.pt2), so that loading one executes nothing.

torch.export.load unpickles entries that an archive declares as pickled weights, looks up operators
by name anywhere in torch, and evaluates expressions of sizes, so that a crafted file could execute
code. An archive may also have two tables of contents, of which torch's reader sees one and Python's
the other. Therefore torch gets a new archive, written from what was read and checked here;
everything that a program exported from layers does not need is refused.
"""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from certiseg.errors import InputError, first_line
from certiseg.models.adapters.sizes import Guards, is_arithmetic, is_symbol

_MODEL = "models/model.json"
_CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
_SAMPLES = "data/sample_inputs/model.pt"
_PAYLOADS = re.compile(r"data/weights/weight_\d+|data/constants/tensor_\d+")
_FACTS = re.compile(
    r"archive_format|archive_version|version|byteorder"
    r"|\.data/(?:version|serialization_id|alignment)|\.format_version|\.storage_alignment"
)
_OPERATOR = re.compile(r"torch\.ops\.(?:aten|prims)\.\w+\.\w+")
_MATHS = re.compile(
    r"_operator\.(?:getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|math\.(?:ceil|floor|trunc)|torch\.sym_(?:max|min|not|int|float|ite)"
    r"|torch\.ops\.higher_order\.(?:wrap_with_set_grad_enabled|wrap_with_autocast)"
)
_FILING = ("from_file", "save", "_save", "load")
"""Operators of aten that touch files."""
_NAME = re.compile(r"[A-Za-z_]\w*")


def checked_archive(content: bytes, path: Path) -> tuple[io.BytesIO, Guards]:
    """A new archive with the plain tensors and the graph of aten operators of a file, and the
    guards on the sides of its input.

    content: bytes of the file. path: its name in errors. Raises InputError for anything else:
    pickled data other than the sample inputs (which are left out), objects, compiled code, other
    files, operators outside aten, expressions other than arithmetic on sizes, and compressed
    members.
    """
    try:
        files = _members(content, path)
        described = {name: json.loads(files[name]) for name in (*_CONFIGS, _MODEL) if name in files}
        for name in _CONFIGS:
            _check_payload(described.get(name, {"config": {}}), name, files, path)
        _check_program(described[_MODEL], path)
        # Python source, which torch would compile: it is removed.
        guards = Guards(described[_MODEL].pop("guards_code", []), str(path))
        return _written(files, described), guards
    except InputError:
        raise
    except (
        *(zipfile.BadZipFile, ValueError, KeyError, TypeError, AttributeError),
        *(EOFError, RuntimeError, NotImplementedError),
    ) as error:
        raise InputError(
            f"{path}: expected a program of torch.export.save, got "
            f"{first_line(error)[:120]}; save it again"
        ) from None


def _members(content: bytes, path: Path) -> dict[str, bytes]:
    """The files in the archive by their names below its one folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        files = {member.filename.partition("/")[2]: member for member in members}
        known = (_MODEL, *_CONFIGS, _SAMPLES)
        others = sorted(
            name
            for name in files
            if name not in known and not (_PAYLOADS.fullmatch(name) or _FACTS.fullmatch(name))
        )
        if _MODEL not in files or others:
            raise InputError(
                f"{path}: expected a program of torch.export.save (torch 2.8 or newer) with "
                f"tensors alone, got {others[0] if others else 'no program'}; save it again"
            )
        if len(files) != len(members):
            raise InputError(f"{path}: expected each file once, got two of one name; save again")
        if sum(member.file_size for member in members) > len(content):
            raise InputError(
                f"{path}: expected tensors as torch.export.save stores them, got compressed ones; "
                "save it again"
            )
        # Sample inputs are not needed, and torch would unpickle them.
        return {name: archive.read(member) for name, member in files.items() if name != _SAMPLES}


def _written(files: dict[str, bytes], described: dict[str, Any]) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(f"program/{_SAMPLES}", b"")
        for name, content in files.items():
            text = described.get(name)
            archive.writestr(f"program/{name}", content if text is None else json.dumps(text))
    buffer.seek(0)
    return buffer


def _check_payload(config: Any, of: str, files: dict[str, bytes], path: Path) -> None:
    """Raise InputError unless all weights or constants are plain tensors in files of the stated
    size."""
    for name, entry in config["config"].items():
        where = f"{of.rpartition('/')[0]}/{entry['path_name']}"
        if entry["use_pickle"] is not False or not _PAYLOADS.fullmatch(where):
            raise InputError(
                f"{path}: expected plain tensors, got {name!r} as a pickled object; "
                "export plain parameters and buffers, on the CPU"
            )
        # For an empty file torch creates zeros of the stated size.
        sides = [side["as_int"] for side in entry["tensor_meta"]["sizes"]]
        if not files[where] and math.prod(sides):
            raise InputError(
                f"{path}: expected the values of {name!r}, got an empty file; save it again"
            )


def _check_program(program: Any, path: Path) -> None:
    for key, value in _entries(program):
        if key == "target" and isinstance(value, str):
            _check_target(value, path)
        elif key == "as_custom_obj" and value is not None:
            raise InputError(f"{path}: expected tensors alone, got an object; export plain layers")
        elif key == "expr_str" and not is_arithmetic(str(value)):
            raise InputError(
                f"{path}: expected arithmetic on sizes, got {str(value)[:60]!r}; export it with "
                "dynamic shapes of its input alone"
            )
        elif key == "range_constraints" and not all(map(is_symbol, value)):
            raise InputError(f"{path}: expected symbols of sizes, got others; save it again")
        elif key in ("name", "as_name", "forward_arg_names") and not all(
            _NAME.fullmatch(str(n)) for n in (value if isinstance(value, list) else [value])
        ):
            raise InputError(
                f"{path}: expected names of values, got {str(value)[:60]!r}; save it again"
            )


def _check_target(target: str, path: Path) -> None:
    if _MATHS.fullmatch(target):
        return
    if not _OPERATOR.fullmatch(target) or target.split(".")[3] in _FILING:
        raise InputError(
            f"{path}: expected operators of aten alone, got {target[:80]!r}; decompose it with "
            "program.run_decompositions()"
        )


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All key-value pairs of nested JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)
