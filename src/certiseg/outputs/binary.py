"""The maps of a declared binary output: a single one, or several that may overlap."""

from __future__ import annotations

import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from certiseg.binary import BinaryOutput
from certiseg.errors import Hint, InputError
from certiseg.outputs.tensors import BinaryScores, check_axes, tensor_of, values_in

_MANY = 64
_ROUNDING = 8.0
"""By how many units in the last place averages of probabilities may leave [0, 1]."""


def maps_of(scored: BinaryScores, batch: Tensor, own_grid: bool = False) -> Tensor:
    """The maps, probabilities or logits, as float32 or float64 (B, K, *out), for a batch (B,
    channels, *size).

    K is 1 without multi_label. Boolean masks become probabilities 0 and 1. own_grid: as in
    ``decide``. Raises InputError for another form, and for declared probabilities outside [0, 1].
    """
    binary, (maps, upsample) = scored.binary, tensor_of(scored.output)
    maps = maps.to(batch.device)
    if maps.dtype == torch.bool and binary.output == "probability":
        maps = maps.float()
    if not maps.is_floating_point():
        raise InputError(
            f"expected {binary.words()} as floats, got {maps.dtype} of shape {tuple(maps.shape)}; "
            "integer labels need no declaration: leave it out; masks: return the booleans "
            "output == 1 as probabilities"
        )
    check_axes(maps, batch.shape[2:])
    maps = _with_channels(maps, batch, binary)
    if binary.output == "probability":
        _check_probabilities(maps)
    else:
        _hint_at_probabilities(maps)
    if maps.dtype not in (torch.float32, torch.float64):
        maps = maps.float()  # exact
    if upsample and not own_grid and maps.ndim == batch.ndim == 4:
        size = batch.shape[2:]
        maps = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    return maps


def class_scores(maps: Tensor, binary: BinaryOutput) -> Tensor:
    """Scores (B, 2, K, *out) of both labels, (B, 2, *out) for one map: the higher wins, label 0 on
    a tie.

    Label 1 wins exactly if the map is above the threshold: the score of label 0 is the threshold
    rounded down to the maps' float type, so that no float lies between the two.
    """
    level = _rounded_down(binary.level, maps.dtype)
    scores = torch.stack([torch.full_like(maps, level), maps], dim=1)
    return scores if binary.multi_label else scores[:, :, 0]


def probabilities(maps: Tensor, binary: BinaryOutput) -> Tensor:
    """Probabilities of class 1, in the shape of the maps."""
    return maps if binary.output == "probability" else maps.sigmoid()


def _with_channels(maps: Tensor, batch: Tensor, binary: BinaryOutput) -> Tensor:
    images = batch.ndim in (4, 5)
    bare = maps.ndim == 1 or (
        maps.ndim == batch.ndim - 1 and (images or maps.shape[1:] == batch.shape[2:])
    )
    if bare and not binary.multi_label:
        return maps[:, None]
    if bare or (not binary.multi_label and maps.shape[1] != 1):
        got = f"got shape {tuple(maps.shape)}"
        if binary.multi_label:
            raise InputError(
                f"expected overlapping maps (B, K, *out), {got}; for a single map leave "
                "multi_label (--multi-label) out"
            )
        raise InputError(
            f"expected one channel of {binary.output} values (B, 1, *out), {got}; classes "
            "decided by the highest logit need no declaration, leave it out; overlapping maps are "
            "multi_label=True (--multi-label)"
        )
    return maps


def _check_probabilities(maps: Tensor) -> None:
    # More tolerance for averages that the model computed in lower precision.
    slack = _ROUNDING * torch.finfo(maps.dtype).eps
    if maps.numel() == 0 or bool(((maps >= -slack) & (maps <= 1 + slack)).all()):
        return
    if bool(maps.isnan().any()):
        raise InputError(
            "expected probabilities in [0, 1], got NaN; check the model's weights and its "
            "precision, and declare binary='logit' (--binary logit) if a sigmoid follows"
        )
    raise InputError(
        f"expected probabilities in [0, 1], got {values_in(maps)}; declare binary='logit' "
        "(--binary logit) for values before the sigmoid"
    )


def _hint_at_probabilities(maps: Tensor) -> None:
    """Warn if all logits are in [0, 1], as probabilities are; each would mean a probability >=
    1/2."""
    if maps.numel() >= _MANY and bool(((maps >= 0) & (maps <= 1)).all()):
        warnings.warn(
            "all declared logits of a pass lie in [0, 1], as probabilities do; if the model ends "
            "in a sigmoid, declare binary='probability' (--binary probability)",
            Hint,
            stacklevel=2,
        )


def _rounded_down(value: float, dtype: torch.dtype) -> float:
    if dtype == torch.float64:
        return value
    single = np.float32(value)
    return float(single if float(single) <= value else np.nextafter(single, np.float32(-np.inf)))
