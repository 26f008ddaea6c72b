"""How a MONAI bundle's postprocessing turns the network's output into labels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from certiseg.binary import BinaryOutput
from certiseg.errors import InputError
from certiseg.rounding import exact

_DICTIONARY = re.compile(r"(\w+?)(?:d|D|Dict)?")
_HARMLESS = (
    *("Invert", "SaveImage", "EnsureType", "EnsureChannelFirst", "CastToType", "ToTensor"),
    *("CopyItems", "DeleteItems", "SelectItems", "DataStats", "Identity", "ToDevice"),
)
"""Transforms that leave it open, or as it is, which label wins."""
_READ = ("sigmoid", "softmax", "other", "argmax", "threshold", "rounding")


class Stated(NamedTuple):
    """binary: None if the highest channel wins, also if nothing is stated. notes: for the user."""

    binary: BinaryOutput | None = None
    notes: tuple[str, ...] = ()


def stated_output(
    config: Mapping[str, Any],
    name: str,
    channels: int | None,
    where: Path,
    plain: Callable[[object, str], Any],
) -> Stated:
    """The statement of ``postprocessing`` on the output of this name and number of channels.

    A sigmoid with a threshold: a binary output of logits, of several channels overlapping maps; a
    threshold alone: of probabilities; softmax, argmax or nothing: the highest channel wins. plain:
    follows references to plain values. Raises InputError for transforms before the decision on
    labels that are not understood; later ones are noted.
    """
    activation: str | None = None
    decision: float | str | None = None
    notes = []

    def refuse(got: str) -> NoReturn:
        raise InputError(
            f"{where}: expected a postprocessing of sigmoid and threshold, or of softmax and "
            f"argmax, got {got}; build the model in a function of yours (python:MODULE:FUNCTION), "
            "with certiseg.Binary for sigmoids"
        )

    for transform in _transforms(config, plain, refuse):
        kind = _kind(transform, refuse)
        if kind in _HARMLESS or not _concerns(transform, name, plain):
            continue
        given = {
            key: _of_key(transform[key], transform, name, key, plain)
            for key in _READ
            if key in transform
        }
        if kind == "Activations":
            if decision is not None or activation is not None or given.get("other") is not None:
                refuse("an activation that is not one sigmoid or softmax")
            if given.get("sigmoid") and given.get("softmax"):
                refuse("both of them in one transform")
            activation = next((key for key in ("sigmoid", "softmax") if given.get(key)), None)
        elif kind == "AsDiscrete" and decision is None:
            decision = _decision(given, refuse)
        elif kind != "AsDiscrete":
            if decision is None:
                refuse(f"{kind} before labels are decided")
            notes.append(f"{where}: {kind} of its postprocessing is not part of what is certified")
    return Stated(_binary(activation, decision, channels, refuse), tuple(notes))


def _binary(
    activation: str | None,
    decision: float | str | None,
    channels: int | None,
    refuse: Callable[[str], NoReturn],
) -> BinaryOutput | None:
    if decision == "argmax" or (decision is None and activation != "sigmoid"):
        if channels == 1 and (decision or activation):
            refuse(f"{decision or activation} of one channel, whose label is always the same")
        return None
    if decision is None:
        if channels == 1:
            return None  # asked for
        refuse("sigmoid without a threshold")
    if activation == "softmax":
        refuse("softmax and a threshold")
    if channels is None:
        refuse("a threshold of an unknown number of channels")
    assert isinstance(decision, float)
    if not 0 < decision < 1:
        refuse(f"the threshold {exact(decision)}, outside (0, 1)")
    output = "logit" if activation == "sigmoid" else "probability"
    return BinaryOutput(output, decision, multi_label=channels > 1)  # type: ignore[arg-type]


def _transforms(
    config: Mapping[str, Any],
    plain: Callable[[object, str], Any],
    refuse: Callable[[str], NoReturn],
) -> list[Mapping[str, Any]]:
    found = config.get("postprocessing")
    if isinstance(found, Mapping) and str(found.get("_target_", "")).endswith("Compose"):
        found = found.get("transforms", [])
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        refuse(f"{str(found)[:60]!r}")
    return found


def _kind(transform: Mapping[str, Any], refuse: Callable[[str], NoReturn]) -> str:
    """The transform's name, without the suffix of dictionary transforms."""
    target = str(transform.get("_target_", "")).rpartition(".")[2]
    found = _DICTIONARY.fullmatch(target)
    if found is None:
        refuse(f"a transform {target[:60]!r}")
    return found[1]


def _keys(transform: Mapping[str, Any], plain: Callable[[object, str], Any]) -> list[Any] | None:
    if "keys" not in transform:
        return None
    keys = plain(transform["keys"], "postprocessing keys")
    return keys if isinstance(keys, list) else [keys]


def _concerns(transform: Mapping[str, Any], name: str, plain: Callable[[object, str], Any]) -> bool:
    keys = _keys(transform, plain)
    disabled = plain(transform.get("_disabled_", False), "postprocessing _disabled_")
    return not disabled and (keys is None or name in keys)


def _of_key(
    value: object,
    transform: Mapping[str, Any],
    name: str,
    what: str,
    plain: Callable[[object, str], Any],
) -> Any:
    """The argument for this output, if it is a list with one value per key."""
    found, keys = plain(value, f"postprocessing {what}"), _keys(transform, plain)
    if isinstance(found, list) and keys is not None and name in keys and len(found) == len(keys):
        return found[keys.index(name)]
    return found


def _decision(given: Mapping[str, Any], refuse: Callable[[str], NoReturn]) -> float | str | None:
    if given.get("argmax"):
        return "argmax"
    threshold, rounding = given.get("threshold"), given.get("rounding")
    if threshold is not None:
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
            refuse(f"the threshold {str(threshold)[:60]!r}")
        # AsDiscrete includes the threshold, a binary output does not.
        return math.nextafter(float(threshold), 0.0)
    if rounding is not None:
        return 0.5  # whose nearest even integer is 0
    return None
