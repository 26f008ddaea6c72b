"""Leave one drive out: what a model is worth on a street that it has never seen.

    python benchmarks/drives.py --root camvid --out drives -- --init imagenet --sigma 0.25 \\
        --network efficientnet-lite0-short --epochs 14 --crop 240x320 --lr 0.002

CamVid's val frames come from the same drive as most of its training frames. Here each drive (the
first six letters of a file's name) is left out in turn: a model is trained on the train frames of
the others, its checkpoint chosen on every tenth of them, and it is evaluated on frames of the drive
that it has not seen. What follows -- are options of ``certiseg train images``. A YAML file in --out
describes the data without each drive; trainings and evaluations that are finished are kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean

from certiseg.datasets.camvid import CARD

CLI = (sys.executable, "-m", "certiseg.cli.main")
STEP, FIRST = 10, 5
"""Of the training frames every tenth chooses the checkpoint, from the sixth on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--root", type=Path, required=True, help="folder with train/, val/, ...")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", default="26", help="frames of each drive, evenly spread")
    parser.add_argument("--sigma", default="0.25")
    parser.add_argument("-n", default="110")
    parser.add_argument("options", nargs="*", help="after --: options of certiseg train images")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = []
    for drive, data in described(args.root.resolve(), args.out).items():
        model, result = args.out / f"{drive}-model", args.out / f"{drive}-result"
        if not (model / "card.json").exists():
            command = ("train", "images", "--data", data, "-o", model, "--resume", *args.options)
            call(*command)
        if not (result / "results.json").exists():
            same = ("--sigma", args.sigma, "-n", args.n, "--limit", args.limit, "--seed", "2026")
            command = ("evaluate", "--data", data, "--split", "held-out", "--model", model)
            call(*command, *same, "--resume", "--no-report", "-o", result)
        rows.append({"drive": drive, **figures(result)})
    names = list(rows[0])[2:]
    rows.append({"drive": "mean", "frames": "", **{k: fmean(r[k] for r in rows) for k in names}})
    (args.out / "drives.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(" | ".join(("drive", "frames", *names)))
    for row in rows:
        print(" | ".join((row["drive"], str(row["frames"]), *(f"{row[k]:.4f}" for k in names))))


def described(root: Path, out: Path) -> dict[str, Path]:
    """Write a description of the data without each drive; returns them by drive."""
    frames = sorted(path.name for path in (root / "train").glob("*.png"))
    val = sorted(path.name for path in (root / "val").glob("*.png"))
    found = {}
    for drive in sorted({name[:6] for name in frames}):
        others = [name for name in frames if name[:6] != drive]
        chosen = others[FIRST::STEP]
        # A drive with val frames is tested on those, any other on its training frames.
        folder = "val" if any(name[:6] == drive for name in val) else "train"
        held = [name for name in (val if folder == "val" else frames) if name[:6] == drive]
        lists = {
            "train": ("train", [name for name in others if name not in set(chosen)]),
            "val": ("train", chosen),
            "held-out": (folder, held),
        }
        for split, (_, names) in lists.items():
            (out / f"{drive}-{split}.txt").write_text("\n".join(names) + "\n")
        description = {
            "name": f"CamVid without drive {drive}",
            "classes": list(CARD.classes),
            "palette": [list(colour) for colour in CARD.palette],
            "ignore": [11],
            "splits": {
                split: {
                    "images": str(root / place),
                    "labels": str(root / f"{place}annot"),
                    "list": f"{drive}-{split}.txt",
                }
                for split, (place, _) in lists.items()
            },
        }
        found[drive] = out / f"{drive}.yaml"
        # JSON is YAML.
        found[drive].write_text(json.dumps(description, indent=1) + "\n")
    return found


def call(*command: object) -> None:
    subprocess.run([*CLI, *map(str, command)], check=True)


def figures(result: Path) -> dict[str, float]:
    """Figures of an evaluation: shares, of which abstention is of labelled pixels."""
    found = json.loads((result / "results.json").read_text())
    rows = {row["model"]: row for row in found["rows"]}
    certified = found["rows"][-1]
    return {
        "frames": found["num_images"],
        "clean": rows["base, clean"]["accuracy"],
        "one draw": rows["base, one draw of noise"]["accuracy"],
        "certified accuracy": certified["certified_accuracy"],
        "worst tenth": certified["worst_tenth"],
        "abstention": certified["abstention"],
        "correct where certified": certified["correct_where_certified"],
        "certified mIoU": certified["certified_miou"],
    }


if __name__ == "__main__":
    main()
