"""What does counting votes cost beyond the forward passes themselves?

Time of ``Smoothed.vote(x, n)`` over that of n bare forward passes of the same model at the same
batch size (the passes get ready-made noisy batches and their logits are thrown away), in turn in
one process, for the shipped CamVid network and for a wide one of the same shape.

    python benchmarks/overhead.py --out benchmarks/results/overhead.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

import certiseg as cs
from certiseg.models.shipped import load_shipped
from certiseg.models.unet import SmallUNet
from certiseg.runs.environment import environment
from certiseg.runs.malloc import keep_freed_memory

SIZE = (3, 360, 480)
NOISE = cs.Gaussian(0.25)


def models() -> dict[str, tuple[torch.nn.Module, int]]:
    """Name -> (model, draws to time)."""
    torch.manual_seed(0)
    wide = SmallUNet(3, 11, widths=(96, 160, 256, 384, 480))
    return {"certiseg:camvid": (load_shipped("camvid").eval(), 100), "wide": (wide.eval(), 16)}


def bare(model: torch.nn.Module, batch: torch.Tensor, draws: int) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(draws // len(batch)):
            model(batch)
    return time.perf_counter() - start


def voted(smooth: cs.Smoothed, x: torch.Tensor, draws: int, batch_size: int) -> float:
    start = time.perf_counter()
    smooth.vote(x, draws, batch_size=batch_size, seed=0)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()

    keep_freed_memory()  # as the command line does; both sides profit
    x = torch.rand(SIZE, generator=torch.Generator().manual_seed(0))
    batch = x + 0.25 * torch.randn((options.batch_size, *SIZE))
    result: dict[str, object] = {
        "question": __doc__.splitlines()[0],
        "input": list(SIZE),
        "batch_size": options.batch_size,
        "torch threads": torch.get_num_threads(),
        "made_with": environment("python benchmarks/overhead.py", None),
    }
    for name, (model, draws) in models().items():
        smooth = cs.Smoothed(model, NOISE)
        bare(model, batch, options.batch_size)
        voted(smooth, x, options.batch_size, options.batch_size)
        pairs = [
            (voted(smooth, x, draws, options.batch_size), bare(model, batch, draws))
            for _ in range(options.repeats)
        ]
        ratios = sorted(a / b for a, b in pairs)
        result[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "draws": draws,
            "bare pass (ms)": round(1e3 * float(np.median([b for _, b in pairs])) / draws, 1),
            "vote (ms a draw)": round(1e3 * float(np.median([a for a, _ in pairs])) / draws, 1),
            "ratio": round(float(np.median(ratios)), 3),
            "ratio, lowest and highest": [round(ratios[0], 3), round(ratios[-1], 3)],
        }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
