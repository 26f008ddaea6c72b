"""The identity of a run, by which its records are told from those of other runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

VERSIONS = ("certiseg", "torch", "numpy")
"""Packages whose version votes and records may depend on."""


def run_id(record: Mapping[str, Any]) -> str:
    """32 hex digits of the SHA-256 of run.json, without the identity and without ``made_with``
    except versions.

    Runs of one identity have the same records except for times. record: plain JSON values. It does
    not prove authorship: who edits the file can recompute it (T15).
    """
    fixed = {name: value for name, value in record.items() if name not in ("run", "made_with")}
    fixed["versions"] = [record["made_with"][name] for name in VERSIONS]
    return digest(fixed)


def digest(fixed: Mapping[str, Any]) -> str:
    """32 hex digits of the SHA-256 of plain JSON values."""
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:32]
