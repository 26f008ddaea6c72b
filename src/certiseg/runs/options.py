"""The options of certification in Python, under their names on the command line."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypedDict, cast

from certiseg.certificates.method import Method, is_built_in
from certiseg.certifiers.segcertify import Budget, Correction
from certiseg.errors import InputError
from certiseg.hierarchies.files import load_hierarchy
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import Gaussian, Noise, Rotation
from certiseg.noise.rotation import Axis
from certiseg.runfolder.derived import COORDINATES
from certiseg.runs.parameters import OF_ENGINE, OF_STOPPING, PARAMETERS, Law
from certiseg.runs.settings import Settings, Stopping
from certiseg.sampling.engine import Engine, Place, Precision
from certiseg.sampling.keywords import spelled_out
from certiseg.stats.spending import Spending
from certiseg.votes import Selection


class Options(TypedDict, total=False):
    """The options listed in ``runs.parameters.PARAMETERS``; None or a missing option is the
    default."""

    sigma: float
    noise: Law | Noise
    axis: Axis | None
    tau: float
    alpha: float
    num_samples: int
    correction: Correction
    budget: Budget
    selection: Selection
    selection_samples: int
    radius_map: bool
    regions: bool
    method: Method | None
    min_gain: float | None
    target_coverage: float | None
    looks: int
    spending: Spending
    hierarchy: Hierarchy | str | Path | None
    thresholds: tuple[float, ...] | None
    grid: int | None
    batch_size: int | None
    seed: int | None
    device: str | None
    precision: Precision
    channels_last: bool
    compile: bool
    cuda_graphs: bool
    noise_on: Place


_WORDS = {
    **{name: f"{known.help[0].lower()}{known.help[1:]}" for name, known in PARAMETERS.items()},
    "method": "a method, such as ``RadiusMap(alpha=0.01)``, instead of the options that it has as "
    "fields.",
}
_WORDS["noise"] += " Or a noise, instead of sigma and axis."
_WORDS["hierarchy"] += " Or a ``Hierarchy``."

with_options = spelled_out(
    Options, {name: known.default for name, known in PARAMETERS.items()}, _WORDS
)
"""Decorator of functions with ``**options: Unpack[Options]``."""


def settings_of(given: Options) -> Settings:
    """The settings, checked as a whole. Raises InputError for options that cannot be combined."""
    stated: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "method" in stated:
        stated = _of_method(stated.pop("method"), stated)
    _check_together(stated)
    if isinstance(noise := stated.get("noise"), Noise):
        stated = _of_noise(noise, stated)
    if "thresholds" in stated:
        stated["selection"] = "split"
    if isinstance(stated.get("hierarchy"), str | Path):
        stated["hierarchy"] = load_hierarchy(stated["hierarchy"])
    stopping = {name: stated.pop(name) for name in OF_STOPPING if name in stated}
    engine = {name: stated.pop(name) for name in OF_ENGINE if name in stated}
    stops = "min_gain" in stopping or "target_coverage" in stopping
    settings = Settings(
        **{PARAMETERS[name].field or name: value for name, value in stated.items()},
        stopping=Stopping(**stopping) if stops else None,
        engine=Engine(**engine),
    )
    settings.check_options()
    return settings


def _check_together(stated: dict[str, Any]) -> None:
    """Raise InputError for options that have no effect without others."""
    if stated.keys() & {"looks", "spending"} and not stated.keys() & {
        "min_gain",
        "target_coverage",
    }:
        raise InputError(
            "expected --min-gain or --target-coverage with --looks and --spending, got neither; "
            "add one of them"
        )
    selection, draws = stated.get("selection"), stated.get("selection_samples")
    if draws is not None and selection != "split" and "thresholds" not in stated:
        raise InputError(
            "expected --selection-samples with --selection split or --thresholds, got "
            f"--selection-samples {draws} alone; pooled selection has no draws that only choose"
        )
    if "thresholds" in stated and selection == "pooled":
        raise InputError(
            "expected no --selection pooled with --thresholds, got it; AdaptiveCertify has two "
            "stages"
        )


def _of_method(method: Method, stated: dict[str, Any]) -> dict[str, Any]:
    """Options that are equivalent to this method."""
    if not isinstance(method, Method):
        raise InputError(
            f"expected a method such as certiseg.certifiers.radius_map.RadiusMap(), got "
            f"{method!r:.80}; pass an instance"
        )
    method_fields = {field.name: getattr(method, field.name) for field in fields(method)}  # type: ignore[arg-type]
    for name in method_fields.keys() & stated.keys():
        if method_fields[name] != stated[name]:
            raise InputError(
                f"expected {name} in the method alone, got {stated[name]!r} beside "
                f"{method_fields[name]!r}; leave the option out"
            )
    if not is_built_in(method):
        shared = {name: value for name, value in method_fields.items() if name in PARAMETERS}
        return {**stated, **shared, "selection": method.selection, "method": method}
    options: dict[str, Any] = {
        **stated,
        **{n: v for n, v in method_fields.items() if v is not None},
    }
    if method.mapped:
        options["radius_map"] = True
    # Settings that cannot express the method would silently run another one.
    if (
        not method_fields.keys() <= PARAMETERS.keys()
        or settings_of(cast(Options, options)).certifier != method
    ):
        raise InputError(
            f"expected a method that the command line has, got {method!r:.80}; call "
            "Smoothed.certify_with for this one"
        )
    return options


def _of_noise(noise: Noise, stated: dict[str, Any]) -> dict[str, Any]:
    """Options that are equivalent to this noise."""
    if "sigma" in stated or "axis" in stated:
        raise InputError(f"expected sigma and axis in the noise alone, got them beside {noise!r}")
    options: dict[str, Any] = {**stated, "sigma": noise.sigma}
    if isinstance(noise, Rotation):
        return {**options, "noise": "rotation", "axis": noise.axis}
    if isinstance(noise, Gaussian) and noise.channels in (None, COORDINATES):
        return {**options, "noise": "gaussian" if noise.channels is None else "coordinates"}
    raise InputError(
        f"expected a noise that the command line has, got {noise!r}; call Smoothed.certify for "
        "this one"
    )
