"""How much memory does each command take on a large picture of many classes?

Each command runs as its user runs it, in a process of its own, over one picture of made-up blocks
and a one-layer model of 150 classes at stride 4; the figure is the peak of the process's resident
memory (VmHWM). Few draws, since memory does not grow with them; tau = alpha = .5, so that few do.

    python benchmarks/path_memory.py --size 1024x2048 --out benchmarks/results/path_memory.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from certiseg.runs.environment import environment

CLASSES, DRAWS = 150, 26
MODELS = f"""
import torch
from certiseg.outputs.low_resolution import LowResolutionLogits

def layer():
    torch.manual_seed(0)
    return torch.nn.Conv2d(3, {CLASSES}, 3, stride=4, padding=1).eval()

class Coarsely(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = layer()

    def forward(self, x):
        return LowResolutionLogits(self.layer(x), x.shape[2:])

class Whole(Coarsely):
    def forward(self, x):
        return super().forward(x).full()

class Labels(Coarsely):
    def forward(self, x):
        small = self.layer(x).argmax(1, keepdim=True)
        return torch.nn.functional.interpolate(small.float(), x.shape[2:]).long()[:, 0]

def coarse(): return Coarsely().eval()
def whole(): return Whole().eval()
def labels(): return Labels().eval()
"""
RUN = """
import sys
from certiseg.cli.main import run
code = run(sys.argv[1:])
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(code, int(peak) // 1024, file=sys.stderr)
"""
TEST = ("--tau", ".5", "--alpha", ".5", "-n", f"{DRAWS}", "--seed", "0", "--overwrite")


def model(name: str) -> tuple[str, ...]:
    return ("--model", f"python:path_models:{name}", "--num-classes", f"{CLASSES}")


def commands(folder: Path) -> dict[str, tuple[str, ...]]:
    """By the words of the table; they read what stands in the folder, and those before made."""
    picture = f"{folder / 'images' / 'street.png'}"
    data = ("--images", f"{folder / 'images'}", "--labels", f"{folder / 'truth'}")
    tree = ("--hierarchy", f"{folder / 'tree.json'}")
    stop = ("--target-coverage", "1%")

    def certify(name: str, *words: str) -> tuple[str, ...]:
        return ("certify", picture, *model(name), *words, *TEST, "-o", f"{folder / name}")

    def evaluate(*words: str) -> tuple[str, ...]:
        return ("evaluate", *data, *model("coarse"), *words, *TEST, "-o", f"{folder / 'evaluated'}")

    return {
        "`certify`, labels from the model": certify("labels"),
        "`certify`, low-resolution logits": certify("coarse"),
        "`certify`, logits at full size": certify("whole"),
        "`certify --radius-map`": certify("whole", "--radius-map"),
        f"`certify {stop[0]}`": certify("whole", *stop),
        "`certify --hierarchy`": certify("whole", *tree),
        "`certify --hierarchy --thresholds`": certify(
            "whole", *tree, "--thresholds", "0,0.25", "--selection-samples", "5"
        ),
        "`certify --selection split`": certify(
            "whole", "--selection", "split", "--selection-samples", "5"
        ),
        "`certify --grid 8`": certify("whole", "--grid", "8"),
        "`verify`": ("verify", f"{folder / 'coarse' / 'street.cert.npz'}"),
        "`evaluate`, low-resolution logits": evaluate("--no-report", "--save-certificates"),
        "`evaluate --radius-map`": evaluate("--no-report", "--radius-map"),
        "`evaluate --percentile`": evaluate("--no-report", "--percentile"),
        "`report` of it": ("report", f"{folder / 'evaluated'}"),
    }


def prepared(folder: Path, height: int, width: int) -> None:
    chance = np.random.default_rng(0)
    blocks = chance.integers(0, 256, (-(-height // 32), -(-width // 32), 3), dtype=np.uint8)
    whole = blocks.repeat(32, axis=0).repeat(32, axis=1)[:height, :width]
    for name in ("images", "truth"):
        (folder / name).mkdir()
    Image.fromarray(whole).save(folder / "images" / "street.png")
    Image.fromarray(whole[..., 0] % CLASSES).save(folder / "truth" / "street.png")
    names = [f"class {label}" for label in range(CLASSES)]
    groups = {f"group {k}": names[k::10] for k in range(10)}
    tree = {"name": "tens", "classes": names, "tree": groups}
    (folder / "tree.json").write_text(json.dumps(tree))
    (folder / "path_models.py").write_text(MODELS)


def peak(folder: Path, words: tuple[str, ...]) -> int:
    """MiB of the process that ran the command."""
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        cwd=folder,
        # Numba, if installed, takes 160 MiB by itself.
        env={
            **os.environ,
            "PYTHONPATH": path,
            "OMP_NUM_THREADS": "1",
            "NUMBA_DISABLE_JIT": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    code, mebibytes = done.stderr.splitlines()[-1].split()
    if code != "0":
        raise SystemExit(f"{' '.join(words)}: exit code {code}\n{done.stderr}")
    return int(mebibytes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1024x2048")
    parser.add_argument("--only", default="", help="rows whose words contain this")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    peaks = {}
    with tempfile.TemporaryDirectory() as place:
        prepared(Path(place), height, width)
        for name, words in commands(Path(place)).items():
            if options.only in name:
                peaks[name] = peak(Path(place), words)
                print(f"| {name} | {peaks[name]} MiB |", flush=True)
    result = {
        "question": __doc__.splitlines()[0],
        "size": options.size,
        "classes": CLASSES,
        "draws": DRAWS,
        "peak (MiB)": peaks,
        "made_with": environment(f"python benchmarks/path_memory.py --size {options.size}", None),
    }
    if options.out is not None:
        options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
