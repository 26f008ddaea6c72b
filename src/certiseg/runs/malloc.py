"""Keep freed memory with the process: twice the speed of CPU passes under glibc."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD = -1
_MMAP_THRESHOLD = -3
_NEVER = 2**31 - 1
_LARGE = 2**28
"""Bytes of blocks that go back all the same. Kept, one that small blocks have split would no longer
hold the next pass's logits, and the process would grow to twice their size."""


def keep_freed_memory() -> bool:
    """Tell glibc's malloc to keep freed blocks of up to 256 MiB for the next pass. Returns whether
    it did.

    By default every activation goes back to the kernel and is zeroed again by the next pass.
    The memory stays with the process until it ends, so this is for commands, never for imports.
    Does nothing anywhere but on Linux with glibc.
    """
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    # Both must be tried: a short-circuit would leave half of the effect.
    done = [mallopt(_MMAP_THRESHOLD, _LARGE), mallopt(_TRIM_THRESHOLD, _NEVER)]
    return all(done)
