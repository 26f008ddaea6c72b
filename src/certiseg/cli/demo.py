"""`certiseg demo`: the whole chain on bundled data and a bundled model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from certiseg.cli import options
from certiseg.cli.page import page_line
from certiseg.errors import InputError
from certiseg.rounding import confidence, down, exact, nearest, percent_down, share, up
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
    attack: Annotated[
        bool,
        typer.Option("--attack", help="An attack on a photograph, and a certificate that holds."),
    ] = False,
    num_samples: Annotated[
        int | None,
        typer.Option("--num-samples", "-n", help="Draws; default 100, with --attack 1000."),
    ] = None,
    seed: options.Seed = None,
) -> None:
    """Certify held-out samples with a bundled model; figures and a report in the output folder."""
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.settings import Settings

    keep_freed_memory()
    if attack:
        if clouds or images is not None:
            raise InputError(
                "expected --attack, which shows one photograph, alone, got --clouds or --images; "
                "leave them out"
            )
        _attack(out, num_samples, seed)
        return
    from certiseg.runs.demo import demo as run

    settings = Settings(
        law="rotation" if clouds else "gaussian",
        num_samples=100 if num_samples is None else num_samples,
        seed=seed,
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


def _attack(out: Path, num_samples: int | None, seed: int | None) -> None:
    from certiseg.noise import Gaussian
    from certiseg.runs.attack_demo import MODEL, NORM, UNDEFENDED, attack_demo
    from certiseg.runs.settings import Settings

    # tau such that the radius is just above the norm of the attack.
    settings = Settings(
        tau=float(Gaussian(0.25).needed(NORM)),
        num_samples=1000 if num_samples is None else num_samples,
        seed=seed,
    )
    record = attack_demo(out, settings, progress=True)
    console = Screen()
    for text in (
        f"A photograph was changed by an attack of l2 norm {up(record['norm'])}, which is hard to "
        f"see: on it {UNDEFENDED}, a network trained without a defence, gives "
        f"{percent_down(record['changed'])} of the pixels another label.",
        f"{MODEL}, trained under noise and smoothed (sigma = {exact(settings.sigma)}, "
        f"{settings.num_samples} draws), certifies {percent_down(record['certified'])} of the "
        f"pixels: with confidence {confidence(settings.alpha)} no change of l2 norm below "
        f"{down(record['radius'])}, this attack or any other, changes their label. On the attacked "
        f"image {record['certified_lost']} of these have another majority.",
        "What this does not show: that the labels are right. Both networks learned from street "
        "scenes and never saw such a photograph; a certificate says that a label is stable.",
        f"Look at {out}/china.panel.png. Check the certificate yourself: certiseg verify "
        f"{out}/china.cert.npz",
    ):
        console.print(text)
        console.print()
