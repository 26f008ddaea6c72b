"""Audits of certificates in a file, one record an input; inputs that are there are left out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from certiseg.attacks.audit import audit
from certiseg.datasets.card import Sample
from certiseg.runs.environment import environment
from certiseg.runs.output import read_lines, write_lines
from certiseg.sampling.sampler import Smoothed


def parser_of(question: str, draws: int, factors: list[float]) -> argparse.ArgumentParser:
    """The options that all audits share."""
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument("--draws", type=int, default=draws, help="Of each vote.")
    parser.add_argument("--steps", type=int, default=20, help="Gradients, or rotations tried.")
    parser.add_argument("--attack-draws", type=int, default=2, help="For each of them.")
    parser.add_argument("--focus", type=int, help="Attack so many components; default all.")
    parser.add_argument("--factors", type=float, nargs="+", default=factors)
    parser.add_argument("--out", type=Path, required=True)
    return parser


def run(
    parser: argparse.ArgumentParser,
    options: argparse.Namespace,
    samples: Iterable[Sample],
    smoothed: Callable[[Sample], Smoothed],
    *,
    facts: dict[str, Any],
    command: str,
    batch_size: int | None = None,
) -> None:
    """Certify, attack and vote again on each sample that the file lacks; print the sums.

    facts: part of each record, the same for all, as are the options.
    """
    settings = {
        **facts,
        "steps": options.steps,
        "draws": options.draws,
        "attack_draws": options.attack_draws,
        "focus": options.focus,
    }
    records = read_lines(options.out)
    if any(record.get(key) != value for record in records for key, value in settings.items()):
        parser.error(f"expected the options of the records in {options.out}; name another file")
    for sample in samples:
        if any(record["name"] == sample.name for record in records):
            continue
        smooth = smoothed(sample)
        certificate = smooth.certify(sample.x, options.draws, batch_size=batch_size)
        record = {
            "name": sample.name,
            **({} if sample.category is None else {"category": sample.category}),
            **settings,
            "radius": certificate.radius,
            "components": certificate.labels.size,
            "attacks": [],
            "made_with": environment(command, None),
        }
        if certificate.certified.any():
            found = audit(
                smooth,
                sample.x,
                certificate,
                factors=options.factors,
                num_samples=options.draws,
                steps=options.steps,
                draws=options.attack_draws,
                focus=options.focus,
                batch_size=batch_size,
            )
            record["attacks"] = [each.record() for each in found]
        records.append(record)
        write_lines(options.out, records)
        print(json.dumps(record["attacks"]), flush=True)
    for factor in options.factors:
        rows = [a for r in records for a in r["attacks"] if a["factor"] == factor]
        attacked, moved, below = (
            sum(row[key] for row in rows) for key in ("components", "moved", "below_half")
        )
        fewest = min((row["fewest"] for row in rows), default=1.0)
        on = sum(row["moved"] > 0 for row in rows)
        print(
            f"factor {factor:g}: {attacked} certified components of {len(rows)} inputs voted on, "
            f"{moved} moved (on {on} inputs), {below} below half, fewest votes {fewest:g}"
        )
