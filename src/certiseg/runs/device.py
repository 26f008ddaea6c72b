"""The device a command names, checked before anything long begins."""

from __future__ import annotations

import torch

from certiseg.errors import InputError, first_line


def usable_device(name: str) -> torch.device:
    """The device, if this machine has it and it can compute; InputError otherwise."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()
    # A CPU build answers with AssertionError, a missing driver with RuntimeError.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = first_line(error).rstrip(".")
        raise InputError(
            f"expected a usable torch device, got {name!r} ({reason}); leave it out or use 'cpu'"
        ) from None
    return device
