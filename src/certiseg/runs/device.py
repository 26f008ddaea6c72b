"""The torch device named by the user, checked before any long work."""

from __future__ import annotations

import torch

from certiseg.errors import InputError, first_line


def usable_device(name: str) -> torch.device:
    """The device. Raises InputError unless this machine has it and it can compute."""
    try:
        device = torch.device(name)
        torch.empty(1, device=device).item()
    # A CPU build raises AssertionError, a missing driver RuntimeError.
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = first_line(error).rstrip(".")
        raise InputError(
            f"expected a usable torch device, got {name!r} ({reason}); leave it out or use 'cpu'"
        ) from None
    return device
