"""Values that follow from a run's settings, and contradictions to them in its manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from certiseg.certificates.method import Method, method_of
from certiseg.errors import InputError
from certiseg.hierarchies.hierarchy import Hierarchy
from certiseg.noise import Noise
from certiseg.runfolder.comparison import CERTIFIED
from certiseg.runfolder.difference import difference
from certiseg.runfolder.identity import run_id
from certiseg.runfolder.layout import kept_numbers

COORDINATES = 3
"""Number of channels of a cloud that get noise, with noise on coordinates."""


def certifier(settings: Mapping[str, Any]) -> Method:
    """The method that settings (plain values) select. Raises InputError for invalid settings."""
    tree = settings["hierarchy"]
    method = method_of({**settings, "hierarchy": tree and Hierarchy.from_record(tree)})
    check_figures(method, settings["hierarchy"])
    return method


def check_figures(method: Method, hierarchy: object) -> None:
    """Raise InputError for nodes that are given by region, whose information gain has no bound."""
    if method.counts_regions and hierarchy is not None:
        raise InputError(
            "expected an evaluation of --regions or of --hierarchy, got both; leave --hierarchy "
            "out, accuracy and IoU with regions are the same without it (T9)"
        )


def row_name(method: Method, num_samples: int) -> str:
    """Name of the comparison's row with certified labels."""
    drawn = f"n {'<=' if method.stops_early else '='} {num_samples}"
    kind = ", map at R(tau)" if method.mapped else ", regions" if method.counts_regions else ""
    return f"{CERTIFIED}{kind}, {drawn}"


def components(size: tuple[int, ...], grid: int | None) -> tuple[int, ...]:
    """Shape of the labels: that of the truth, or of its grid of cells of grid x grid pixels."""
    return size if grid is None else tuple(-(-side // grid) for side in size)


def contradictions(record: Mapping[str, Any], noise: Noise) -> Iterator[str]:
    """Yield a line for each value in run.json that does not follow from the others."""
    settings, samples = record["settings"], record["samples"]
    method = certifier(settings)
    channels, sigma = getattr(noise, "channels", None), settings["sigma"]
    law = noise.kind if channels is None else "coordinates"
    same = not isinstance(sigma, bool) and sigma == noise.sigma
    kept = [sample["number"] for sample in samples if sample["kept"]]
    follows = {
        "radius": noise.radius(settings["tau"]),
        "norm": noise.norm,
        "method": method.name,
        "certified": row_name(method, settings["num_samples"]),
        "kind": {1: "clouds", 2: "images", 3: "volumes"}[len(samples[0]["size"])],
        "seed": record["seed"] if settings["seed"] is None else settings["seed"],
        "seed_origin": "entropy" if settings["seed"] is None else "caller",
        "noise": {**record["noise"], **({} if channels is None else {"channels": COORDINATES})},
        "settings": {
            **settings,
            "sigma": sigma if same else noise.sigma,
            "law": law,
            "axis": getattr(noise, "axis", None),
        },
        "run": run_id(record),
    }
    for name, value in follows.items():
        line = difference(record[name], value, name)
        if line is not None:
            yield line
    if kept != (even := sorted(kept_numbers(len(samples), len(kept)))):
        yield f"samples kept stated as {kept!r:.60}, {even!r:.60} follows: evenly spread"
