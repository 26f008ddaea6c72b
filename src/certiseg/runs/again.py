"""A run in place of an earlier one: the best of m runs holds with confidence 1 - m alpha only."""

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
    """What the user must know, unless the claims that are replaced had this very seed.

    seeds: of the earlier claims; seed: of those to come, None for fresh entropy.
    """
    return BEST_OF if any(seed is None or earlier != seed for earlier in seeds) else None


def recorded_seeds(path: Path) -> list[Any]:
    """Seeds in the record of an earlier run, run.json or results.json; of no run none."""
    try:
        record = parse_json(read_bounded(path, RECORD))
        if "seeds" in record:
            return [seed for by_sigma in record["seeds"].values() for seed in by_sigma.values()]
        return [record["seed"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return [None]
