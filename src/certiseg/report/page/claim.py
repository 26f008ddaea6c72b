"""Short statement of a run's guarantee, for the page; certificates have the exact statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from certiseg import rounding
from certiseg.datasets.card import KINDS
from certiseg.runfolder.manifest import Manifest
from certiseg.votes import Source


def claim(manifest: Manifest, source: Source | None = None) -> str:
    """The guarantee for each sample of the run, in one sentence.

    source: of a certificate's votes, which states how a binary output was declared.
    """
    settings, noise = manifest.settings, manifest.noise
    whole, part = KINDS[manifest.kind]
    of = ""
    if (grid := settings.get("grid")) is not None:
        part, of = "cell", f" of {grid} x {grid} pixels"
    budget, several = settings.get("budget"), True
    if manifest.certifier.counts_regions:
        subject = (
            f"of the coloured {part}s{of} in any region of a certified mask, whenever it was "
            "chosen, at least as many as this page counts"
        )
    elif budget is not None:
        subject = f"all but at most k - 1 coloured {part}s{of} of a certified mask ({_k(budget)})"
    else:
        subject, several = f"each coloured {part}{of} of a certified mask", False
    below = noise.size(manifest.radius)
    if manifest.method == "radius_map":
        below = f"its own radius (the comparison reads the map at {below})"
    binary = None if source is None else source.binary
    decides = "" if binary is None else f" ({binary.describe()})"
    return (
        f"With confidence {rounding.confidence(manifest.certifier.alpha)} for each {whole} on its "
        f"own, {subject} {_hold(settings, several=several)} under every {noise.moved()} "
        f"{noise.measured} below {below}; the label is that of the smoothed model, the majority "
        f"vote of {manifest.model}{decides} under {noise.describe()}."
    )


def region_claim(manifest: Manifest) -> tuple[str, str]:
    """What labels counted in a region do, and under which perturbations."""
    noise = manifest.noise
    return _hold(manifest.settings, several=True), (
        f"under every {noise.moved()} {noise.measured} below {noise.size(manifest.radius)}, "
        f"together with the counts of all other regions of this {KINDS[manifest.kind][0]} "
        f"(confidence {rounding.confidence(manifest.certifier.alpha)})"
    )


def _hold(settings: Mapping[str, Any], *, several: bool) -> str:
    if settings.get("hierarchy") is None:
        return "keep their label" if several else "keeps its label"
    return (
        f"{'have' if several else 'has'} a class or group of classes that contains the base "
        "model's label with probability above 1/2 under the noise,"
    )


def _k(budget: object) -> str:
    """Phrase for the error budget, a number or a fraction of the components."""
    return (
        f"k is {rounding.percent_exact(budget)} of all"
        if isinstance(budget, float)
        else f"k = {budget}"
    )


def plan(manifest: Manifest) -> str:
    """Method and parameters of a run in one line."""
    settings = manifest.settings
    words = [manifest.certifier.title, f"sigma = {rounding.exact(manifest.noise.sigma)}"]
    if manifest.method != "radius_map":
        words.append(f"tau = {settings.get('tau')}")
    words.append(f"n {'<=' if settings.get('stopping') else '='} {settings.get('num_samples')}")
    if settings.get("correction") not in (None, "holm") and manifest.method == "segcertify":
        words.append(str(settings["correction"]))
    for name in ("budget", "grid"):
        if settings.get(name) is not None:
            words.append(f"{name} {settings[name]}")
    if settings.get("selection") == "split":
        words.append("two stages")
    words.append(f"alpha = {settings.get('alpha')}")
    return ", ".join(words)
