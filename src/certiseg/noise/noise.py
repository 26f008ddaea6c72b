"""``Noise``: the protocol of a noise distribution and the radius that it certifies.

A noise has two parts. The record, a frozen dataclass without torch, holds its parameters and
computes radii. Its sampler (``sampling.noise_samplers.NoiseSampler``), imported when the first draw
is made, perturbs an input. ``register`` enters both, so that certificates can be written and read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, fields
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar, Protocol, SupportsFloat, cast, runtime_checkable

from certiseg.errors import InputError

SMALLEST_SIGMA = 1e-5
GROUP = "certiseg.noises"
"""Entry point group of third-party noises: named by ``kind``; loading one registers it."""


@runtime_checkable
class Noise(Protocol):
    """A frozen dataclass with a scale ``sigma`` and optional further fields, None by default.

    kind: name in files. norm, unit, radius_name: of the certified radius, for tables and figures.
    largest: supremum of radii, at which every perturbation is covered. measured: phrase for the
    size of a perturbation, such as "of l2 norm".

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
        """Raise InputError if an input of this shape cannot be perturbed."""

    def eta(self, shape: tuple[int, ...]) -> float:
        """Total variation distance of the draws from the distribution, rounded up (theory T12)."""

    def radius(self, tau: float) -> float:
        """Certified radius, rounded down: a label with probability > tau stays the majority label
        under every perturbation of norm < radius. tau in [1/2, 1); InputError otherwise."""

    def needed(self, radius: float) -> float:
        """Probability, rounded up, that a label needs to keep at least 1/2 under every perturbation
        of norm <= radius."""

    def describe(self) -> str:
        """Phrase for a statement: the noise distribution."""

    def applied(self, given: str, channels: int | None = None) -> str:
        """Phrase for a statement: the noise and how it is applied to ``given``, the input."""

    def drawn(self, shape: tuple[int, ...]) -> str:
        """Phrase for a statement: how closely the draws follow the distribution."""

    def moved(self, channels: int | None = None) -> str:
        """Phrase for a statement: the perturbations covered. channels: of the input, if known."""

    def size(self, radius: float, decimals: int = 6) -> str:
        """Phrase for a statement: the radius, rounded down."""


Law = Callable[[Any, Any], Any]
"""Function of a noise and an input tensor that returns its sampler."""
_KNOWN: dict[str, tuple[type[Any], str | Law]] = {}


def register(record: type[Any], law: str | Law) -> None:
    """Register a noise under its ``kind``.

    Args:
        record: a frozen dataclass that satisfies ``Noise``.
        law: called with the noise and the input, returns a
            ``sampling.noise_samplers.NoiseSampler``; or its name as "package.module:name", imported
            when it is needed.

    Raises:
        InputError: if another noise is registered under this kind.
    """
    if _KNOWN.get(record.kind, (record,))[0] is not record:
        raise InputError(
            f"expected a noise of a new kind, got {record.kind!r}, which is taken; rename it"
        )
    _KNOWN[record.kind] = (record, law)


def law_of(noise: Noise) -> Law:
    """Registered sampler function of a noise. Raises InputError for an unregistered noise."""
    record, law = _entry(noise.kind)
    if not isinstance(noise, record):
        raise InputError(f"expected a registered noise, got {noise!r}; see certiseg.noise.register")
    if isinstance(law, str):
        module, _, name = law.partition(":")
        law = getattr(import_module(module), name)
    return cast(Law, law)


def noise_record(noise: Noise) -> dict[str, Any]:
    """Serialize a noise to plain JSON values; fields that are None are left out."""
    given = {name: value for name, value in asdict(noise).items() if value is not None}
    return {"kind": noise.kind, **given}


def noise_from_record(record: Mapping[str, Any]) -> Noise:
    """Inverse of noise_record. Raises InputError for an unregistered kind or wrong fields."""
    values = dict(record)
    kind = values.pop("kind", None)
    noise = _entry(kind)[0] if isinstance(kind, str) else None
    known = {} if noise is None else {field.name: field for field in fields(noise)}
    needed = {name for name, field in known.items() if field.default is MISSING}
    if (
        noise is None
        or type(values.get("sigma")) not in (int, float)
        or None in values.values()
        or not needed <= set(values) <= set(known)
    ):
        raise InputError(
            f"expected noise of a known kind with its fields, such as 'gaussian' with sigma, got "
            f"{dict(record)}; a newer certiseg or another package may know it"
        )
    return cast(Noise, noise(**values))


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
