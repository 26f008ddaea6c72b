"""What a torch.export archive (.pt2) may hold, so that loading it runs nothing.

torch.export.load unpickles whatever an archive calls a pickled weight, looks operators up by name
anywhere in torch, and evaluates the expressions of sizes: a crafted file would run code. So the
archive is read here first, as JSON, and all that a program exported from layers does not need is
refused.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from certiseg.errors import InputError, first_line

_FILES = re.compile(
    r"(?:models/model\.json|archive_format|archive_version|version|byteorder"
    r"|\.data/(?:version|serialization_id|alignment)|\.format_version|\.storage_alignment"
    r"|data/weights/(?:weight_\d+|model_weights_config\.json)"
    r"|data/constants/(?:tensor_\d+|model_constants_config\.json)"
    r"|data/sample_inputs/model\.pt)"
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
_ARITHMETIC = (
    *("Mod", "PythonMod", "FloorDiv", "CleanDiv", "CeilDiv", "IntTrueDiv", "FloatTrueDiv"),
    *("CeilToInt", "FloorToInt", "TruncToInt", "RoundToInt", "RoundDecimal", "ToFloat"),
    *("Add", "Mul", "Pow", "PowByNatural", "FloatPow", "Abs", "Max", "Min", "ModularIndexing"),
    *("Where", "Piecewise", "And", "Or", "Not", "Eq", "Ne", "Lt", "Le", "Gt", "Ge", "Identity"),
    *("Equality", "Unequality", "StrictLessThan", "StrictGreaterThan", "LessThan"),
    *("GreaterThan", "Integer", "Rational", "Float", "true", "false", "True", "False"),
    *("oo", "int_oo", "evaluate"),
)
"""Words that expressions of sizes are made of."""
_SYMBOL = re.compile(r"[suz]\w{0,3}\d+")
_ASSUMED = r"(?:, (?:positive|nonnegative|integer|real)=True)*"
_QUOTED = re.compile(rf"Symbol\('([suz]\w{{0,3}}\d+)'{_ASSUMED}\)")
_SIGNS = re.compile(r"[\w\s+\-*/%(),<>=!&|~]*")


def check_archive(path: Path) -> None:
    """Raise InputError unless the archive holds plain tensors and a graph of aten operators alone.

    Refused: anything pickled but the sample inputs (which must load as plain tensors), objects,
    compiled code, other files, operators beyond aten's, expressions beyond arithmetic on sizes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name.partition("/")[2]: name for name in archive.namelist()}
            others = sorted(name for name in files if not _FILES.fullmatch(name))
            if "models/model.json" not in files or others:
                raise InputError(
                    f"{path}: expected a program of torch.export.save (torch 2.8 or newer) with "
                    f"tensors alone, got {others[0] if others else 'no program'}; save it again"
                )
            if len(files) != len(archive.namelist()):
                raise InputError(
                    f"{path}: expected each file once, got two of one name; save again"
                )
            for name in ("data/weights/model_weights_config.json", _CONSTANTS):
                if name in files:
                    _check_payload(json.loads(archive.read(files[name])), path)
            program = json.loads(archive.read(files["models/model.json"]))
            if _SAMPLES in files:
                torch.load(io.BytesIO(archive.read(files[_SAMPLES])), weights_only=True)
    except InputError:
        raise
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: expected sample inputs that are plain tensors, got other objects; "
            "save it again without example inputs"
        ) from None
    except (OSError, zipfile.BadZipFile, ValueError, KeyError, EOFError, RuntimeError) as error:
        raise InputError(
            f"{path}: expected a program of torch.export.save, got "
            f"{first_line(error)[:120]}; save it again"
        ) from None
    _check_program(program, path)


_CONSTANTS = "data/constants/model_constants_config.json"
_SAMPLES = "data/sample_inputs/model.pt"


def _check_payload(config: Any, path: Path) -> None:
    for name, entry in config["config"].items():
        if entry["use_pickle"] is not False or not re.fullmatch(
            r"(?:weight|tensor)_\d+", entry["path_name"]
        ):
            raise InputError(
                f"{path}: expected plain tensors, got {name!r} as a pickled object; "
                "export plain parameters and buffers, on the CPU"
            )


def _check_program(program: Any, path: Path) -> None:
    for key, value in _entries(program):
        if key == "target" and isinstance(value, str):
            _check_target(value, path)
        elif key == "as_custom_obj" and value is not None:
            raise InputError(f"{path}: expected tensors alone, got an object; export plain layers")
        elif key == "expr_str" and not _is_arithmetic(str(value)):
            raise InputError(
                f"{path}: expected arithmetic on sizes, got {str(value)[:60]!r}; export it with "
                "dynamic shapes of its input alone"
            )
        elif key == "range_constraints" and not all(map(_SYMBOL.fullmatch, value)):
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


def _is_arithmetic(text: str) -> bool:
    plain = _QUOTED.sub(r"\1", text)
    words = re.findall(r"[^\W\d]\w*", plain)
    known = all(word in _ARITHMETIC or _SYMBOL.fullmatch(word) for word in words)
    return bool(_SIGNS.fullmatch(plain)) and known


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All key-value pairs of nested JSON."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)
