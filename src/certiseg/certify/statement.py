"""The claim in one English sentence: what holds, how sure, and under which assumptions."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

from certiseg.certify.certificate import Certificate
from certiseg.votes import Source


def statement(certificate: Certificate) -> str:
    """One sentence a reader can hold the certificate to (theory T1 to T4, T12, T15)."""
    confidence = 100 * (1 - Decimal(repr(certificate.alpha)))
    text = (
        f"With confidence {confidence.normalize():f}% over the sampling noise "
        f"(alpha = {certificate.alpha:g} for this whole input), {_claim(certificate)}; "
        f"the smoothed model is {_smoothed_model(certificate)}, tested with "
        f"{_test(certificate)}; {_assumptions(certificate)} "
        f"[certiseg {certificate.version}]."
    )
    # Names come from files too: one line, nothing a terminal would obey.
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _percent(part: int, whole: int) -> str:
    """Cut off after four decimals, so that 100% means all."""
    return f"{Decimal(part * 1_000_000 // whole).scaleb(-4).normalize():f}%"


def _claim(certificate: Certificate) -> str:
    held, total = int(certificate.certified.sum()), certificate.labels.size
    if held == 0:
        return f"nothing is claimed: all {total} components abstain"
    where = (
        f"under every perturbation of the input of {certificate.noise.norm} norm below "
        f"{_floor(certificate.radius)}"
        if certificate.radius > 0
        else "at the input itself (radius 0)"
    )
    rest = f"; the certificate abstains on the other {total - held}" if held < total else ""
    if certificate.method == "joint":
        return f"the whole label map of {total} components is the smoothed model's {where}"
    return (
        f"each of the {held} labels given ({_percent(held, total)} of {total} components) is the "
        f"majority label of the smoothed model {where}, all of them at once{rest}"
    )


def _floor(radius: float) -> str:
    """Six decimals, cut off rather than rounded, so that the sentence never overstates."""
    return f"{Decimal(radius).quantize(Decimal('1e-6'), rounding=ROUND_DOWN):f}"


def _smoothed_model(certificate: Certificate) -> str:
    noise = certificate.noise.describe()
    source = certificate.votes.source
    if source is None:
        return f"the majority vote of a base model that was not recorded, under {noise}"
    shape = " x ".join(str(side) for side in source.input_shape)
    values = (
        "of any value"
        if source.value_range is None
        else f"with values in [{source.value_range[0]:g}, {source.value_range[1]:g}]"
    )
    return (
        f"the majority vote of {source.model_name} (fingerprint {source.model[:12]}) under {noise} "
        f"added, without clipping, to the input (fingerprint {source.input[:12]}) "
        f"of shape {shape} {values}"
    )


def _test(certificate: Certificate) -> str:
    draws = f"{certificate.votes.trials} draws"
    first = certificate.selection_votes
    theorem = "T3" if certificate.method == "segcertify" else "T6"
    stages = (
        f"candidates and test from the same draws (pooled, {theorem})"
        if first is None
        else f"candidates from {first.trials} separate draws (split, T2)"
    )
    if certificate.method == "joint":
        return f"{draws} by JointClass, candidates from separate draws (split, T2)"
    if certificate.method == "segcertify":
        names = {"holm": "Holm", "bonferroni": "Bonferroni"}
        correction = names[certificate.correction or ""]
        return f"{draws}, tau = {certificate.tau!r}, {correction} correction, {stages}"
    names = {"classify": "CERTIFY", "individual": "IndivClass"}
    return f"{draws} by {names[certificate.method]}, {stages}"


def _assumptions(certificate: Certificate) -> str:
    source, first = certificate.votes.source, certificate.selection_votes
    if source is None:
        return "the votes came from the caller, who answers for their independence"
    if certificate.method == "joint" or (first is not None and first.source is None):
        return f"the caller answers for the draws that chose the candidates; {_drawing(source)}"
    return _drawing(source)


def _drawing(source: Source) -> str:
    if source.seed_origin == "entropy":
        seed = f"seed {source.seed} came from the operating system's entropy"
    else:
        seed = (
            f"seed {source.seed} was given by the caller, so the confidence assumes that the input "
            "was not chosen with knowledge of it"
        )
    return f"{seed}; noise was drawn in floating point, which the theory treats as exactly Gaussian"
