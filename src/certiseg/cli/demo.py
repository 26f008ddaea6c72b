"""`certiseg demo`: the whole chain on data and a model that ship with the package."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from certiseg.cli import options
from certiseg.cli.page import page_line

if TYPE_CHECKING:
    from certiseg.runs.demo import Demo
    from certiseg.runs.settings import Settings


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "demo-out"
    ),
    images: Annotated[int, typer.Option(help="How many held-out brain slices.")] = 4,
    num_samples: options.NumSamples = 100,
    seed: options.Seed = None,
) -> None:
    """Certify held-out brain slices with the shipped model; pictures in the output folder."""
    from certiseg.runs.demo import demo as run
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.settings import Settings

    keep_freed_memory()
    settings = Settings(num_samples=num_samples, seed=seed)
    command = shlex.join(["certiseg", *sys.argv[1:]])
    _tell(run(out, settings, images, progress=True, command=command), settings, out)


def _tell(result: Demo, settings: Settings, out: Path) -> None:
    from certiseg.report.certified import certified_table
    from certiseg.report.tables import rich_table

    console = Console()
    confidence = f"{100 * (1 - settings.alpha):.6g} %"

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False)
        console.print()

    count = len(result.records)
    say(
        f"{count} slices of the MNI152 brain template that the model never saw in training, "
        f"{settings.num_samples} draws of Gaussian noise (sigma = {settings.sigma:g}) each:"
    )
    console.print(rich_table(result.rows))
    console.print(certified_table(result.records))
    console.print()
    certified = result.rows[-1]
    say(
        f"What this shows: {_cut(1 - (certified.abstention_all or 0.0))} of the pixels carry a "
        f"certified label. With confidence {confidence} for each slice, nothing of l2 norm below "
        f"the radius that is added to it (noise, an artefact, an attack) changes any of them. On "
        f"the other pixels the model abstains: white in the pictures. Every certificate was read "
        f"back from disk and verified."
    )
    say(f"The first certificate, in its own words: {result.statement}")
    say(
        "What this does not show: all slices come from one averaged brain, and slices a few "
        "millimetres apart are alike, so the accuracy says little about other heads or scanners. "
        "A certificate says that a label is stable, not that it is right; it speaks of the "
        "majority vote under noise, not of a single pass of the network; and its confidence "
        "is for each slice separately, not for all of them together."
    )
    say(f"Done in {result.seconds:.0f} s. Pictures: {', '.join(str(f) for f in result.figures)}")
    say(page_line(out))
    say(f"Check the certificates yourself: certiseg verify {out}/certificates/*.cert.npz")


def _cut(share: float) -> str:
    """A certified share is cut off, so that 100.0 % means all."""
    return f"{math.floor(share * 1000) / 10:.1f}%"
