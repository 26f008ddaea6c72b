"""Are attacks here as strong as an independent implementation at equal numbers of gradients?

On images of a split at an even stride, with the model's own labels as the ones to change: the
smallest l2 norm found for changing 95 % of them by primal-dual gradient descent, of adv-lib
(pip install --no-deps adv-lib torchvision; its logger's visdom is not needed) and of certiseg; and
the share that certiseg's APGD changes within adv-lib's norm.

    python benchmarks/attack_strength.py --root CAMVID --model certiseg:camvid --out FILE.json
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import torch

import certiseg as cs
from certiseg.attacks.differentiable import base_scores
from certiseg.attacks.minimal import minimal_attack
from certiseg.datasets.camvid import camvid
from certiseg.datasets.subset import subsample
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory
from certiseg.runs.output import write_text

SHARE = 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="certiseg:camvid")
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--steps", type=int, default=200, help="Gradients of each attack.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    sys.modules.setdefault("visdom", ModuleType("visdom"))
    from adv_lib.attacks.segmentation import pdgd

    keep_freed_memory()
    samples = subsample(camvid(options.root, options.split), options.images)
    model = cs.load_model(options.model).model
    scores, rows = base_scores(model), []
    for index in range(len(samples)):
        x = torch.from_numpy(samples[index].x)
        with torch.no_grad():
            labels = scores(x[None]).argmax(dim=1)
        theirs = pdgd(scores, x[None], labels, adv_threshold=SHARE, num_steps=options.steps)
        with torch.no_grad():
            changed = float((scores(theirs).argmax(dim=1) != labels).double().mean())
        norm = float((theirs[0].double() - x.double()).norm())
        ours = minimal_attack(model, x, share=SHARE, steps=options.steps)
        row = {
            "name": samples[index].name,
            "adv-lib": {"norm": norm, "share": changed},
            "minimal": {"norm": ours.norm, "share": ours.success},
        }
        if norm > 0:
            within = cs.attack(
                model,
                x,
                epsilon=norm,
                loss=("js", "masked-margin"),
                steps=options.steps // 2,
                seed=0,
            )
            row["apgd"] = {"norm": within.norm, "share": within.success, "loss": within.loss}
        rows.append(row)
        print(json.dumps(row), flush=True)
        record = {
            "model": options.model,
            "steps": options.steps,
            "share": SHARE,
            "images": rows,
            "geometric_mean_ratio": math.exp(
                sum(math.log(r["minimal"]["norm"] / r["adv-lib"]["norm"]) for r in rows) / len(rows)
            ),
            "made_with": environment("python benchmarks/attack_strength.py", None),
        }
        write_text(options.out, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
