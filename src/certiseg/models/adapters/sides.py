"""The shape that an exported file takes, and inputs that have another."""

from __future__ import annotations

from torch import Tensor

from certiseg.errors import InputError


def check_sides(x: Tensor, shape: tuple[int | None, ...], why: str, how: str) -> None:
    """Raise InputError unless x has the sides of shape (None: any), the batch's left out.

    why, how: what fixed them, and how to export without fixing them, for the error.
    """
    wanted, got = shape[1:], tuple(x.shape[1:])
    fits = len(wanted) == len(got) and all(
        side in (None, given) for side, given in zip(wanted, got, strict=True)
    )
    if not fits:
        sides = ", ".join("any" if side is None else str(side) for side in wanted)
        raise InputError(
            f"expected inputs of shape ({sides}), which {why}, got {got}; export it with {how}, "
            "or resize with certiseg.models.Preprocess(model, size=...)"
        )
