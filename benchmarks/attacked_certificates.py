"""Does any certified pixel lose its majority under attacks within the certified radius?

Images of a split at an even stride are certified, attacked at factors of the radius through the
smoothed model, and voted on again with fresh draws at each attacked input (docs/attacks.md). One
record an image is appended to the file; images that are there already are left out, so the command
can be interrupted and given again.

    python benchmarks/attacked_certificates.py --root CAMVID --out FILE.jsonl
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import certiseg as cs
from certiseg.attacks.audit import FACTORS, audit
from certiseg.datasets.camvid import camvid
from certiseg.datasets.subset import subsample
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.output import read_lines, write_lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="certiseg:camvid")
    parser.add_argument("--images", type=int, default=26)
    parser.add_argument("--draws", type=int, default=100, help="Of each vote.")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--attack-draws", type=int, default=2, help="For each gradient.")
    parser.add_argument("--focus", type=int, help="Attack so many pixels; default all.")
    parser.add_argument("--factors", type=float, nargs="+", default=list(FACTORS))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()

    keep_freed_memory()
    samples = subsample(camvid(options.root, options.split), options.images)
    smooth = cs.Smoothed(cs.load_model(options.model).model, cs.Gaussian(0.25))
    settings = {
        "model": options.model,
        "steps": options.steps,
        "draws": options.draws,
        "attack_draws": options.attack_draws,
        "focus": options.focus,
    }
    records = read_lines(options.out)
    if any(record.get(key) != value for record in records for key, value in settings.items()):
        parser.error(f"expected the options of the records in {options.out}; name another file")
    for index in range(len(samples)):
        sample = samples[index]
        if any(record["name"] == sample.name for record in records):
            continue
        certificate = smooth.certify(sample.x, options.draws)
        record = {
            "name": sample.name,
            **settings,
            "radius": certificate.radius,
            "components": certificate.labels.size,
            "attacks": [],
            "made_with": environment("python benchmarks/attacked_certificates.py", None),
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
            )
            record["attacks"] = [each.record() for each in found]
        records.append(record)
        write_lines(options.out, records)
        print(json.dumps(record["attacks"]), flush=True)
    for factor in options.factors:
        rows = [a for r in records for a in r["attacks"] if a["factor"] == factor]
        attacked, moved = (sum(row[key] for row in rows) for key in ("components", "moved"))
        print(f"factor {factor:g}: {attacked} certified pixels voted on, {moved} moved")


if __name__ == "__main__":
    main()
