"""The identity of a run, which distinguishes its records from those of any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

VERSIONS = ("certiseg", "torch", "numpy")
"""Of these the noise, its votes and their records may depend on."""


def run_id(record: Mapping[str, Any]) -> str:
    """32 hex digits of the SHA-256 over what run.json fixes, the seed and its origin included: all
    but the identity itself and, of ``made_with``, all but the versions. Runs of one identity make
    the same records, but for times. record: plain JSON values.

    It binds what was written, not its author: an edited file can be given a new one (T15).
    """
    fixed = {name: value for name, value in record.items() if name not in ("run", "made_with")}
    fixed["versions"] = [record["made_with"][name] for name in VERSIONS]
    return digest(fixed)


def digest(fixed: Mapping[str, Any]) -> str:
    """32 hex digits of the SHA-256 over plain JSON values."""
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:32]
