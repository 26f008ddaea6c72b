"""Warning when a run replaces an earlier one: the best of m runs has confidence 1 - m alpha."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from certiseg.files.documents import parse_json
from certiseg.files.reading import RECORD, read_bounded

BEST_OF = (
    "this replaces claims from other draws; each run holds with confidence 1 - alpha, the best of "
    "m runs with 1 - m alpha only, fresh seeds or not (docs/theory.md, Several runs)"
)


def replaced(seeds: Iterable[Any], seed: int | None) -> str | None:
    """The warning, or None if all replaced certificates had the same seed as the new ones.

    seeds: of the replaced certificates. seed: of the new ones, None for fresh entropy.
    """
    return BEST_OF if any(seed is None or earlier != seed for earlier in seeds) else None


def recorded_seeds(path: Path) -> list[Any]:
    """Seed in the run.json of an earlier run: empty if there is none, [None] if it is damaged."""
    try:
        return [parse_json(read_bounded(path, RECORD))["seed"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return [None]
