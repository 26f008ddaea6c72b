"""Serialize the counts of metrics to JSON values and back, so that runs can be pooled later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np

from certiseg.errors import InputError
from certiseg.metrics.confusion import Confusion
from certiseg.metrics.curve import RadiusCurve
from certiseg.metrics.information_gain import InformationGain

Counts = TypeVar("Counts", Confusion, RadiusCurve, InformationGain)


def counts_record(counts: Confusion | RadiusCurve | InformationGain) -> dict[str, Any]:
    """Serialize counts to plain JSON values, arrays as nested lists."""
    values = {field.name: getattr(counts, field.name) for field in fields(counts)}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}


def counts_from_record(kind: type[Counts], record: Mapping[str, Any]) -> Counts:
    """Inverse of counts_record.

    Raises InputError for wrong fields or types, ragged lists and negative numbers.
    """
    names = {field.name: str(field.type) for field in fields(kind)}
    if not isinstance(record, Mapping) or set(record) != set(names):
        given = sorted(record) if isinstance(record, Mapping) else type(record).__name__
        raise InputError(
            f"expected {kind.__name__} counts with {sorted(names)}, got {given}; "
            "the file is damaged or of another version"
        )
    values: dict[str, Any] = {}
    for name, annotation in names.items():
        value = np.asarray(_numbers(record[name], name))
        whole = "float64" not in annotation
        if (whole and value.dtype.kind != "i") or value.dtype.kind not in "if" or value.min() < 0:
            raise InputError(
                f"expected {'whole ' if whole else ''}numbers >= 0 as {name}, got others; "
                "the file is damaged"
            )
        typed = value.astype(np.int64 if whole else np.float64)
        values[name] = typed if annotation.startswith("NDArray") else typed.item()
    return kind(**values)


def _numbers(value: Any, name: str) -> Any:
    try:
        array = np.asarray(value)
        plain = np.asarray(value, dtype=object).flat
        real = array.dtype.kind in "if" and not any(isinstance(number, bool) for number in plain)
        if real and array.size and np.isfinite(array).all():
            return array
    except (ValueError, TypeError, OverflowError, RuntimeError):
        pass
    raise InputError(f"expected a table of numbers as {name}, got something else")
