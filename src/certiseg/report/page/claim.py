"""Short statement of a run's guarantee, for the page; certificates have the exact statements."""

from __future__ import annotations

from certiseg import rounding
from certiseg.datasets.card import KINDS
from certiseg.runfolder.manifest import Manifest


def claim(manifest: Manifest) -> str:
    """The guarantee for each sample of the run, in one sentence."""
    settings, noise = manifest.settings, manifest.noise
    whole, part = KINDS[manifest.kind]
    of = ""
    if settings.get("grid"):
        part, of = "cell", f" of {settings['grid']} x {settings['grid']} pixels"
    below = (
        f"below its own radius (the comparison reads the map at {noise.size(manifest.radius)})"
        if manifest.method == "radius_map"
        else f"below {noise.size(manifest.radius)}"
    )
    budget = settings.get("budget")
    if budget is None:
        subject, keeps, has = f"each coloured {part}{of} of a certified mask", "keeps its", "has"
    else:
        subject = f"all but at most k - 1 coloured {part}s{of} of a certified mask ({_k(budget)})"
        keeps, has = "keep their", "have"
    says = f"{keeps} label"
    if settings.get("hierarchy") is not None:
        says = (
            f"{has} a class or group of classes that contains the base model's label with "
            "probability above 1/2 under the noise,"
        )
    return (
        f"With confidence {rounding.confidence(manifest.certifier.alpha)} for each {whole} on its "
        f"own, {subject} {says} "
        f"under every {noise.moved()} {noise.measured} {below}; the label is that of the smoothed "
        f"model, the majority vote of {manifest.model} under {noise.describe()}."
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
