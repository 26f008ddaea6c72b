"""Machine code of inner loops by Numba, if it is installed (``certiseg[fast]``).

Each loop has a plain form in NumPy or PyTorch that gives the same bits, used where Numba is absent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import cache
from typing import TypeVar

Loop = TypeVar("Loop", bound=Callable[..., object])

_LOCATORS = "UserProvidedCacheLocator,UserWideCacheLocator"
"""Where Numba keeps machine code: NUMBA_CACHE_DIR, or the user's cache folder. Its default is
beside the sources."""
_ALONE = threading.Lock()
"""Lock for Numba's configuration."""


def compiled(loop: Loop) -> Loop | None:
    """The function in machine code, which releases the interpreter lock; None without Numba, or if
    it is told not to compile.

    loop: a function of arrays and numbers alone. It is compiled when it is first called, and kept
    for later processes in the user's cache folder, if that can be written.
    """
    with _ALONE:
        return _compiled(loop)


@cache
def _compiled(loop: Loop) -> Loop | None:
    # Asked first, since the import takes time and memory.
    if os.environ.get("NUMBA_DISABLE_JIT", "0") != "0":
        return None
    try:
        from numba import config, njit
    except ImportError:  # absent, or not for this NumPy
        return None
    if config.DISABLE_JIT:  # set elsewhere
        return None
    held, config.CACHE_LOCATOR_CLASSES = config.CACHE_LOCATOR_CLASSES, _LOCATORS
    try:
        made: Loop = njit(nogil=True, error_model="numpy", cache=True)(loop)
    except RuntimeError:  # no folder to keep it in
        made = njit(nogil=True, error_model="numpy")(loop)
    finally:
        config.CACHE_LOCATOR_CLASSES = held
    return made
