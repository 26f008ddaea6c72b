"""Noise: what is drawn and what radius it buys, as a protocol that others can implement.

A noise has two halves. The record, a frozen dataclass without torch, says what is drawn and what
follows from it. Its sampler, looked up when something is drawn, perturbs an input
(``sampling.noise_samplers.NoiseSampler``). One call of ``register`` enters both, so that its
certificates can be written and read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol, SupportsFloat, runtime_checkable

from certiseg.errors import InputError

SMALLEST_SIGMA = 1e-5
GROUP = "certiseg.noises"
"""Entry points of other packages, each named by its kind, whose loading registers it."""


@runtime_checkable
class Noise(Protocol):
    """A frozen dataclass with ``sigma``, its scale, and perhaps further fields, None by default.

    kind: its name in files. norm, unit, radius_name: of the certified radius, in tables and
    figures. largest: the radius that stands for any size. measured: how a perturbation's size is
    given in a sentence.

    Example:
        >>> import certiseg as cs
        >>> isinstance(cs.Gaussian(0.25), Noise), isinstance(0.25, Noise)
        (True, False)
    """

    kind: ClassVar[str]
    norm: ClassVar[str]
    unit: ClassVar[str]
    radius_name: ClassVar[str]
    largest: ClassVar[float]
    measured: ClassVar[str]
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def sigma(self) -> float: ...

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise InputError for inputs (*shape) that it cannot perturb."""

    def eta(self, shape: tuple[int, ...]) -> float:
        """Distance in total variation of what is drawn from the law, rounded up (theory T12)."""

    def radius(self, tau: float) -> float:
        """Rounded down: a label with probability > tau stays the majority label under every
        perturbation of norm < radius. tau in [1/2, 1); InputError otherwise."""

    def needed(self, radius: float) -> float:
        """Rounded up: what has this probability or more has at least 1/2 under every perturbation
        of norm <= radius."""

    def describe(self) -> str:
        """The law in words."""

    def applied(self, given: str, channels: int | None = None) -> str:
        """The law and what is done with it, in words. given: the input in words."""

    def drawn(self, shape: tuple[int, ...]) -> str:
        """How close the draws come to the law, in words."""

    def moved(self, channels: int | None = None) -> str:
        """What the claim allows for, in words. channels: those of the input, where known."""

    def size(self, radius: float, decimals: int = 6) -> str:
        """A radius in words, cut off."""


Law = Callable[[Any, Any], Any]
"""From a noise and an input (a tensor) to a ``sampling.noise_samplers.NoiseSampler``."""
_KNOWN: dict[str, tuple[type[Any], str | Law]] = {}


def register(record: type[Any], law: str | Law) -> None:
    """Enter a noise: its record, and its law or where to find it, as "package.module:name".

    Args:
        record: a frozen dataclass that satisfies ``Noise``.
        law: called with the noise and the input; returns a
            ``sampling.noise_samplers.NoiseSampler``.

    Raises:
        InputError: for a kind that another record has.
    """
    if _KNOWN.get(record.kind, (record,))[0] is not record:
        raise InputError(
            f"expected a noise of a new kind, got {record.kind!r}, which is taken; rename it"
        )
    _KNOWN[record.kind] = (record, law)


def law_of(noise: Noise) -> Law:
    """What perturbs inputs by this noise. Raises InputError for an unregistered noise."""
    record, law = _entry(noise.kind)
    if not isinstance(noise, record):
        raise InputError(f"expected a registered noise, got {noise!r}; see certiseg.noise.register")
    if isinstance(law, str):
        module, _, name = law.partition(":")
        found: Law = getattr(import_module(module), name)
        return found
    return law


def noise_record(noise: Noise) -> dict[str, Any]:
    """The noise as plain JSON values; fields that are None are left out."""
    given = {name: value for name, value in asdict(noise).items() if value is not None}
    return {"kind": noise.kind, **given}


def noise_from_record(record: Mapping[str, Any]) -> Noise:
    """Inverse of noise_record. Raises InputError for an unregistered noise."""
    values = dict(record)
    kind = values.pop("kind", None)
    law = _entry(kind)[0] if isinstance(kind, str) else None
    known = {} if law is None else {field.name: field for field in fields(law)}
    needed = {name for name, field in known.items() if field.default is MISSING}
    sigma = values.get("sigma")
    number = isinstance(sigma, (int, float)) and not isinstance(sigma, bool)
    if (
        law is None
        or not number
        or None in values.values()
        or not needed <= set(values) <= set(known)
    ):
        raise InputError(
            f"expected noise of a known kind with its fields, such as 'gaussian' with sigma, got "
            f"{dict(record)}; a newer certiseg or another package may know it"
        )
    made: Noise = law(**values)
    return made


def _entry(kind: str) -> tuple[type[Any], str | Law]:
    if kind not in _KNOWN:
        for entry in entry_points(group=GROUP, name=kind):
            entry.load()
    if kind not in _KNOWN:
        raise InputError(
            f"expected noise of kind {', '.join(_KNOWN)}, got {kind!r:.80}; a newer certiseg or "
            "another package may know it (certiseg.noise.register)"
        )
    return _KNOWN[kind]


def checked_sigma(sigma: SupportsFloat | str, largest: float, *, usual: str, remedy: str) -> float:
    """sigma as a Python float; InputError outside [1e-5, largest]."""
    value = math.nan if isinstance(sigma, (str, bool)) else float(sigma)
    if not value > 0:
        raise InputError(f"expected sigma > 0, got {sigma!r}; {usual}")
    if not SMALLEST_SIGMA <= value <= largest:
        raise InputError(
            f"expected sigma > 0 in [{SMALLEST_SIGMA:g}, {largest:g}], got {sigma}; {remedy}"
        )
    return value
