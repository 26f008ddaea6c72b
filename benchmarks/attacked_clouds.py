"""Does any certified point of a cloud lose its majority under attacks within the certified radius?

Clouds of the test split of solids, which no model was trained on, are certified with a bundled
model, under noise on their coordinates or random rotations. Certified points are attacked through
the smoothed model at factors of the radius, by gradient or by a search over rotations, and voted on
again with fresh draws at each attacked cloud (docs/attacks.md). One record a cloud is appended to
the file; clouds that are there already are left out, so the command can be interrupted and given
again.

    python benchmarks/attacked_clouds.py --noise rotation --out FILE.jsonl
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import certiseg as cs
from certiseg.attacks.audit import audit
from certiseg.datasets.solids import solids
from certiseg.datasets.subset import even_categories
from certiseg.models.serialization import load_bundled
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.output import read_lines, write_lines

BATCH = 8
"""Clouds of a pass: larger batches leave the processor's caches."""
MODELS = {"coordinates": "solids-gaussian", "rotation": "solids-rotation"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--noise", choices=list(MODELS), required=True)
    parser.add_argument("--sigma", type=float, required=True)
    parser.add_argument("--clouds", type=int, default=100)
    parser.add_argument("--draws", type=int, default=120, help="Of each vote.")
    parser.add_argument("--steps", type=int, default=20, help="Gradients, or rotations tried.")
    parser.add_argument("--attack-draws", type=int, default=2, help="For each of them.")
    parser.add_argument("--focus", type=int, help="Attack so many points; default all.")
    parser.add_argument("--factors", type=float, nargs="+", default=[0.5, 0.9, 1.0, 4.0])
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    keep_freed_memory()
    samples = even_categories(solids("test", normals=False), options.clouds)
    segmenter = load_bundled(MODELS[options.noise])
    noise = (
        cs.Rotation(options.sigma)
        if options.noise == "rotation"
        else cs.Gaussian(options.sigma, channels=3)
    )
    settings = {
        "model": f"certiseg:{MODELS[options.noise]}",
        "noise": repr(noise),
        "steps": options.steps,
        "draws": options.draws,
        "attack_draws": options.attack_draws,
        "focus": options.focus,
    }
    records = read_lines(options.out)
    if any(record.get(key) != value for record in records for key, value in settings.items()):
        parser.error(f"expected the options of the records in {options.out}; name another file")
    command = f"python benchmarks/attacked_clouds.py --noise {options.noise}"
    for index in range(len(samples)):
        sample = samples[index]
        if any(record["name"] == sample.name for record in records):
            continue
        model = segmenter.of(sample.category)  # type: ignore[operator]
        smooth = cs.Smoothed(model, noise, value_range=None)
        certificate = smooth.certify(sample.x, options.draws, batch_size=BATCH)
        record = {
            "name": sample.name,
            "category": sample.category,
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
                batch_size=BATCH,
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
        clouds = sum(row["moved"] > 0 for row in rows)
        print(
            f"factor {factor:g}: {attacked} certified points of {len(rows)} clouds voted on, "
            f"{moved} moved (on {clouds} clouds), {below} below half, fewest votes {fewest:g}"
        )


if __name__ == "__main__":
    main()
