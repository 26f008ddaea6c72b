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
    """What ``runs.parameters.PARAMETERS`` lists; an option left out, or None, has its default."""

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
    "method": "a method, such as ``RadiusMap(alpha=0.01)``, in place of the options it has as "
    "fields.",
}
_WORDS["noise"] += " Or a noise, in place of sigma and axis."
_WORDS["hierarchy"] += " Or a ``Hierarchy``."

with_options = spelled_out(
    Options, {name: known.default for name, known in PARAMETERS.items()}, _WORDS
)
"""A decorator of functions of ``**options: Unpack[Options]``."""


def settings_of(given: Options) -> Settings:
    """The settings, checked as a whole. Raises InputError for options that do not go together."""
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if "method" in said:
        said = _of_method(said.pop("method"), said)
    _check_together(said)
    if isinstance(noise := said.get("noise"), Noise):
        said = _of_noise(noise, said)
    if "thresholds" in said:
        said["selection"] = "split"
    if isinstance(said.get("hierarchy"), str | Path):
        said["hierarchy"] = load_hierarchy(said["hierarchy"])
    stopping = {name: said.pop(name) for name in OF_STOPPING if name in said}
    engine = {name: said.pop(name) for name in OF_ENGINE if name in said}
    stops = "min_gain" in stopping or "target_coverage" in stopping
    settings = Settings(
        **{PARAMETERS[name].field or name: value for name, value in said.items()},
        stopping=Stopping(**stopping) if stops else None,
        engine=Engine(**engine),
    )
    settings.check_options()
    return settings


def _check_together(said: dict[str, Any]) -> None:
    """Raise InputError for options that have no use without others."""
    if said.keys() & {"looks", "spending"} and not said.keys() & {"min_gain", "target_coverage"}:
        raise InputError(
            "expected --min-gain or --target-coverage with --looks and --spending, got neither; "
            "say when to stop"
        )
    selection, draws = said.get("selection"), said.get("selection_samples")
    if draws is not None and selection != "split" and "thresholds" not in said:
        raise InputError(
            "expected --selection-samples with --selection split or --thresholds, got "
            f"--selection-samples {draws} alone; pooled selection has no draws that only choose"
        )
    if "thresholds" in said and selection == "pooled":
        raise InputError(
            "expected no --selection pooled with --thresholds, got it; AdaptiveCertify has two "
            "stages"
        )


def _of_method(method: Method, said: dict[str, Any]) -> dict[str, Any]:
    """The options that mean this method; its parameters stand in it alone."""
    if not isinstance(method, Method):
        raise InputError(
            f"expected a method such as certiseg.certifiers.radius_map.RadiusMap(), got "
            f"{method!r:.80}; pass an instance"
        )
    own = {field.name: getattr(method, field.name) for field in fields(method)}  # type: ignore[arg-type]
    for name in own.keys() & said.keys():
        if own[name] != said[name]:
            raise InputError(
                f"expected {name} in the method alone, got {said[name]!r} beside "
                f"{own[name]!r}; leave the option out"
            )
    if not is_built_in(method):
        shared = {name: value for name, value in own.items() if name in PARAMETERS}
        return {**said, **shared, "selection": method.selection, "method": method}
    options: dict[str, Any] = {**said, **{n: v for n, v in own.items() if v is not None}}
    if method.mapped:
        options["radius_map"] = True
    # Settings that cannot say the method would run another one in its place.
    if (
        not own.keys() <= PARAMETERS.keys()
        or settings_of(cast(Options, options)).certifier != method
    ):
        raise InputError(
            f"expected a method that the command line has, got {method!r:.80}; call "
            "Smoothed.certify_with for this one"
        )
    return options


def _of_noise(noise: Noise, said: dict[str, Any]) -> dict[str, Any]:
    """The options that mean this noise."""
    if "sigma" in said or "axis" in said:
        raise InputError(f"expected sigma and axis in the noise alone, got them beside {noise!r}")
    words: dict[str, Any] = {**said, "sigma": noise.sigma}
    if isinstance(noise, Rotation):
        return {**words, "noise": "rotation", "axis": noise.axis}
    if isinstance(noise, Gaussian) and noise.channels in (None, COORDINATES):
        return {**words, "noise": "gaussian" if noise.channels is None else "coordinates"}
    raise InputError(
        f"expected a noise that the command line has, got {noise!r}; call Smoothed.certify for "
        "this one"
    )
