"""The laws of this version, and their records in files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from certiseg.errors import InputError
from certiseg.noise.gaussian import Gaussian
from certiseg.noise.rotation import Rotation

Noise = Gaussian | Rotation
"""What is drawn: a frozen record with kind, norm, sigma, ``radius(tau)`` rounded down,
``needed(radius)`` rounded up, ``check_shape``, and its own words for a sentence."""

_FIELDS: dict[str, tuple[type[Gaussian] | type[Rotation], str]] = {
    Gaussian.kind: (Gaussian, "channels"),
    Rotation.kind: (Rotation, "axis"),
}
"""The law of each kind, and its field beside sigma, which records leave out where it is None."""


def noise_record(noise: Noise) -> dict[str, Any]:
    """The noise as plain JSON values."""
    given = {name: value for name, value in asdict(noise).items() if value is not None}
    return {"kind": noise.kind, **given}


def noise_from_record(record: Mapping[str, Any]) -> Noise:
    """Inverse of noise_record. Raises InputError for a law this version does not know."""
    values = dict(record)
    kind = values.pop("kind", None)
    if not isinstance(kind, str) or kind not in _FIELDS:
        raise _unknown(record)
    law, other = _FIELDS[kind]
    sigma = values.get("sigma")
    number = isinstance(sigma, (int, float)) and not isinstance(sigma, bool)
    named = set(values) - {other} == {"sigma"} and values.get(other, other) is not None
    if not (number and named):
        raise _unknown(record)
    return law(**values)


def _unknown(record: Mapping[str, Any]) -> InputError:
    return InputError(
        f"expected noise of kind 'gaussian' with sigma and perhaps channels, or 'rotation' with "
        f"sigma and perhaps axis, got {dict(record)}; a newer certiseg may know it"
    )
