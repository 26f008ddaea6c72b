"""`certiseg demo`: the whole chain on bundled data and a bundled model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certiseg.cli import options
from certiseg.cli.page import page_line
from certiseg.rounding import confidence, exact, nearest, percent_down, share
from certiseg.screen import Screen

if TYPE_CHECKING:
    from certiseg.runs.demo import Demo
    from certiseg.runs.settings import Settings


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the results.")] = Path(
        "demo-out"
    ),
    images: Annotated[
        int | None, typer.Option(help="Number of samples; default 4 slices, or 5 clouds.")
    ] = None,
    clouds: Annotated[
        bool, typer.Option("--clouds", help="Point clouds under rotation instead of brain slices.")
    ] = False,
    num_samples: options.NumSamples = 100,
    seed: options.Seed = None,
) -> None:
    """Certify held-out samples with a bundled model; figures and a report in the output folder."""
    from certiseg.runs.demo import demo as run
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.settings import Settings

    keep_freed_memory()
    settings = Settings(
        law="rotation" if clouds else "gaussian", num_samples=num_samples, seed=seed
    )
    command = shlex.join(["certiseg", *sys.argv[1:]])
    found = run(out, settings, clouds=clouds, images=images, progress=True, command=command)
    _explain(found, settings, out, clouds)


_SLICES = (
    "{count} slices of the MNI152 brain template that the model never saw in training, "
    "{draws} draws of Gaussian noise (sigma = {sigma}) each:",
    "{share} of the pixels carry a certified label. With confidence {confidence} for each slice, "
    "nothing of l2 norm below the radius that is added to it (noise, an artefact, an attack) "
    "changes any of them. On the other pixels the model abstains: white in the figures.",
    "all slices come from one averaged brain, and neighbouring slices are similar, so that "
    "accuracy says little about other heads or scanners.",
    "slice",
)
_CLOUDS = (
    "{count} generated shapes that the model never saw in training, {draws} random rotations "
    "(sigma = {sigma} rad) each:",
    "{share} of the points carry a certified part. With confidence {confidence} for each shape, no "
    "rotation about its centroid, around any axis, by an angle below the radius (in radians) "
    "changes any of them. On the other points the model abstains: white in the figures.",
    "the shapes are built from a few solids, so the accuracy says little about scanned ones.",
    "shape",
)


def _explain(result: Demo, settings: Settings, out: Path, clouds: bool) -> None:
    from certiseg.report.certified import certified_table
    from certiseg.runfolder.comparison import comparison_table

    console = Screen()

    def say(text: str) -> None:
        console.print(text)
        console.print()

    drawn, shown, limits, each = _CLOUDS if clouds else _SLICES
    certified = result.rows[-1]
    assert certified.abstention_all is not None
    facts = {
        "count": len(result.records),
        "draws": settings.num_samples,
        "sigma": exact(settings.sigma),
        "share": percent_down(1 - share(certified.abstention_all)),
        "confidence": confidence(settings.alpha),
    }
    say(drawn.format(**facts))
    console.print(comparison_table(result.rows).rich(transposed=True))
    console.print(certified_table(result.records))
    console.print()
    say(
        f"What this shows: {shown.format(**facts)} Every certificate was read back from disk and "
        "verified."
    )
    say(f"The statement of the first certificate: {result.statement}")
    say(
        f"What this does not show: {limits} A certificate says that a label is stable, not that it "
        "is correct; it is about the majority vote under noise, not a single pass of the "
        f"network; and its confidence is for each {each} separately, not for all of them together."
    )
    say(f"Done in {nearest(result.seconds, 0)} s. Figures: {', '.join(map(str, result.figures))}")
    say(page_line(out))
    say(f"Check the certificates yourself: certiseg verify {out}/certificates/*.cert.npz")
