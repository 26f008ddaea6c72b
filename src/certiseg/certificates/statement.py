"""The statement of a certificate: guarantee, confidence and assumptions in one sentence."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np

from certiseg.certificates.certificate import Certificate
from certiseg.certificates.method import method_named
from certiseg.certificates.windows import draws_by_window, tiling_of
from certiseg.rounding import confidence, exact, percent_down, trimmed
from certiseg.votes import Source

_LONGEST_NAME = 80
_FEW = 3


def statement(certificate: Certificate) -> str:
    """The guarantee of a certificate with all its assumptions, in one English sentence.

    Source: theory T1 to T8, T11, T12, T14, T15.
    """
    text = (
        f"With confidence {confidence(certificate.alpha)} over the sampling noise "
        f"(alpha = {exact(certificate.alpha)} for this whole input), {_claim(certificate)}; "
        f"the smoothed model is {_smoothed_model(certificate)}, tested with "
        f"{_test(certificate)}, method and parameters fixed before the first draw; "
        f"{_assumptions(certificate)} "
        f"[certiseg {certificate.version}]."
    )
    # Names may come from files: no line breaks or terminal control characters.
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _percent(part: int, whole: int) -> str:
    """A share rounded down to four decimals, so that 100% means all."""
    return trimmed(percent_down(Fraction(part, whole), 4))


def _claim(certificate: Certificate) -> str:
    held, total = int(certificate.certified.sum()), certificate.labels.size
    if held == 0:
        return f"nothing is claimed: all {total} components abstain"
    if 0 < held <= certificate.allowed_errors:
        budget = (
            "" if certificate.budget is None else f"with the error budget k = {certificate.budget} "
        )
        return f"nothing is claimed: {held} labels are given, and {budget}all of them may be wrong"
    where = _where(certificate)
    rest = f"; the certificate abstains on the other {total - held}" if held < total else ""
    whole = method_named(certificate.method).whole_claim(certificate)
    if whole is not None:
        return f"{whole} {where}"
    share = f"({_percent(held, total)} of {total} {_components(certificate)})"
    spared = certificate.allowed_errors
    if spared:
        each, them = f"all but at most {spared} of", "all of the others at once"
    else:
        each, them = "each of", "all of them at once"
    hierarchy = certificate.hierarchy
    if hierarchy is None:
        what = f"the {held} labels given {share} {'are' if spared else 'is'} the majority label"
        return f"{each} {what} of the smoothed model {where}, {them}{rest}"
    classes = int((certificate.labels[certificate.certified] < hierarchy.num_classes).sum())
    return (
        f"{each} the {held} nodes given {share}, {classes} classes and {held - classes} groups of "
        f"the hierarchy {quoted(hierarchy.name)}, {'contain' if spared else 'contains'} the base "
        f"model's label with probability above 1/2 under the noise {where}, {them}{rest}"
    )


def _where(certificate: Certificate) -> str:
    """The perturbations under which the labels hold."""
    noise, radius = certificate.noise, certificate.radius
    moved = noise.moved(_channels(certificate))
    tiling, elsewhere = tiling_of(certificate), ""
    every = f"under every {moved} {noise.measured} below"
    if tiling is not None:
        window = f"the label's own window ({tiling.described()})"
        every = f"under every {moved} whose part inside {window} is {noise.measured} below"
        elsewhere = ", whatever happens elsewhere"
    if isinstance(radius, np.ndarray):
        radii = radius[certificate.certified]
        low, high = noise.size(float(radii.min())), noise.size(float(radii.max()))
        own = f"its own radius ({low} to {high}, and all radii hold together)"
        return f"{every} {own}{elsewhere}"
    if radius >= noise.largest:
        return f"under every {moved} {noise.measured} of any size"
    if radius <= 0:
        return "at the input itself (radius 0)"
    return f"{every} {noise.size(radius)}{elsewhere}"


def _channels(certificate: Certificate) -> int | None:
    """Number of channels of the input, or None if unknown."""
    source = certificate.votes.source
    return source.input_shape[0] if source is not None and source.input_shape else None


def _components(certificate: Certificate) -> str:
    """Phrase for the labelled components: voxels, cells of a coarser grid (theory T14), those of
    overlapping maps, or components."""
    shape, maps = certificate.labels.shape, certificate.maps
    if maps is None:
        return _of_map(certificate, shape)
    components = _of_map(certificate, shape[1:])
    sides = f" of {' x '.join(map(str, shape[1:]))}" if shape[1:] else ""
    return f"components, {maps} overlapping binary maps{sides} {components} tested together"


def _of_map(certificate: Certificate, shape: tuple[int, ...]) -> str:
    source = certificate.votes.source
    size = () if source is None else source.input_shape[1:]
    if len(shape) == 3 and shape == size:
        return "voxels"
    if len(shape) != 2 or len(size) != 2 or shape == size:
        return "components"
    return (
        f"cells of the model's {shape[0]} x {shape[1]} grid over {size[0]} x {size[1]} pixels; "
        f"pixel (i, j) has the label of cell (i * {shape[0]} // {size[0]}, "
        f"j * {shape[1]} // {size[1]})"
    )


def quoted(name: str) -> str:
    """An untrusted name in quotation marks, at most 80 characters, without quotes inside."""
    plain = " ".join(name.replace('"', "'").split())
    return f'"{plain if len(plain) <= _LONGEST_NAME else plain[: _LONGEST_NAME - 3] + "..."}"'


def _precision(source: Source) -> str:
    """Phrase for a precision other than float32, in which the model is another function."""
    precision = source.engine.get("precision", "float32")
    if precision == "float32":
        return ""
    # The value may come from a file.
    known = re.fullmatch(rf"[a-z0-9_, ]{{1,{_LONGEST_NAME}}}", precision)
    return f", computed in {precision if known else quoted(precision)}"


def _made_and_missed(source: Source) -> str:
    """Phrases for the user's code that made the model, and for parts its fingerprint omits."""
    files = [f"{quoted(name)} {digest[:12]}" for name, digest in sorted(source.code.items())]
    missed = [quoted(name) for name in source.not_covered]
    return "".join(
        f", {word} {', '.join(found[:_FEW])}"
        + (f" and {len(found) - _FEW} more" if len(found) > _FEW else "")
        for word, found in (("code", files), ("not covered:", missed))
        if found
    )


def _smoothed_model(certificate: Certificate) -> str:
    noise, source = certificate.noise, certificate.votes.source
    if source is None:
        return f"the majority vote of a base model that was not recorded, under {noise.describe()}"
    shape = " x ".join(str(side) for side in source.input_shape)
    values = (
        "of any value"
        if source.value_range is None
        else f"with values in [{exact(source.value_range[0])}, {exact(source.value_range[1])}]"
    )
    given = f"the input (fingerprint {source.input[:12]}) of shape {shape} {values}"
    more = f"{_precision(source)}{_made_and_missed(source)}"
    if source.binary is not None:
        more = f"{more}, {source.binary.describe()}"
    return (
        f"the majority vote of {quoted(source.model_name)} (fingerprint {source.model[:12]}"
        f"{more}) under {noise.applied(given, _channels(certificate))}"
    )


def _test(certificate: Certificate) -> str:
    """Phrase for the test: number of draws, method, and which draws chose the candidates."""
    method, first = method_named(certificate.method), certificate.selection_votes
    if first is not None:
        stages = f"candidates from {first.trials} separate draws (split, T2)"
    elif certificate.candidates is not None:
        stages = "candidates from separate draws (split, T2)"
    else:
        theorem = method.theorem(certificate)
        stages = f"candidates and test from the same draws (pooled, {theorem})"
    draws = f"{certificate.votes.trials} draws{_left_out(certificate)}"
    return f"{draws}{method.tested_by(certificate)}, {stages}"


def _left_out(certificate: Certificate) -> str:
    """Phrase for windows that were left out of later draws."""
    by_window = draws_by_window(certificate.votes)
    if by_window is None:
        return ""
    fewer = int((by_window < certificate.votes.trials).sum())
    return (
        f" ({fewer} of {by_window.size} windows left out once settled, after {by_window.min()} "
        "draws or more, each missing draw a vote against their labels)"
    )


def _assumptions(certificate: Certificate) -> str:
    source, first = certificate.votes.source, certificate.selection_votes
    assumed = method_named(certificate.method).assumed(certificate)
    assumptions = [] if assumed is None else [assumed]
    if source is None:
        assumptions.append(
            "the votes came from the caller, who answers for their independence and for the noise "
            "they were drawn with"
        )
        return "; ".join(assumptions)
    if first is not None and first.source is None:
        assumptions.append("the caller answers for the draws that chose the candidates")
    assumptions.append(
        "each draw was passed through the model independently of the others, as a probe of its "
        "passes found"
    )
    if source.own_randomness:
        assumptions.append(
            "the model has randomness of its own, so that its votes cannot be replayed"
        )
    return "; ".join([*assumptions, _drawing(source)])


def _drawing(source: Source) -> str:
    if source.seed_origin == "entropy":
        seed = f"seed {source.seed} came from the operating system's entropy"
    elif source.seed_origin == "record":
        seed = (
            f"seed {source.seed} is said by the run's record to come from the operating system's "
            "entropy, and the confidence assumes that it did"
        )
    else:
        seed = (
            f"seed {source.seed} was given by the caller, so the confidence assumes that the input "
            "was not chosen with knowledge of it"
        )
    return f"{seed}; {source.noise.drawn(source.input_shape)}"
