"""`certiseg reproduce`: the paper's tables of point clouds."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from certiseg.cli import options
from certiseg.errors import InputError

app = typer.Typer(help="Run the paper's experiments on point clouds.", rich_markup_mode=None)

Model = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        "-m",
        help="As in certify; SIGMA=MODEL for one noise. Default for solids: what ships.",
    ),
]
Data = Annotated[str, typer.Option(help="shapenet, or solids: generated, out of the box.")]
Root = Annotated[Path | None, typer.Option(help="The folder of --data shapenet.")]
NonRobust = Annotated[str | None, typer.Option(help="A model trained without noise.")]
NumClouds = Annotated[
    int, typer.Option("--clouds", help="So many of the test split, evenly over the categories.")
]
MostDraws = Annotated[
    int | None, typer.Option(help="Leave out lines that take more test draws than this.")
]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out absent or damaged files.")]
BatchSize = Annotated[int | None, typer.Option(help="Draws a pass; default fits the memory.")]
_PAPER = 100


@app.command()
def shapenet(
    out: options.Output,
    model: Model = None,
    data: Data = "shapenet",
    root: Root = None,
    non_robust: NonRobust = None,
    clouds: NumClouds = _PAPER,
    most_draws: MostDraws = None,
    channels: options.Channels = None,
    skip_bad: SkipBad = False,
    batch_size: BatchSize = None,
    seed: options.Seed = None,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    json_lines: options.Json = False,
) -> None:
    """Gaussian noise on the coordinates: sigma .25 and .5, tau .75 to .99, n 1000 and 10 000."""
    _reproduce("shapenet", **locals())


@app.command()
def shapenet_rotation(
    out: options.Output,
    model: Model = None,
    data: Data = "shapenet",
    root: Root = None,
    non_robust: NonRobust = None,
    clouds: NumClouds = _PAPER,
    most_draws: MostDraws = None,
    channels: options.Channels = None,
    skip_bad: SkipBad = False,
    batch_size: BatchSize = None,
    seed: options.Seed = None,
    device: options.Device = None,
    overwrite: options.Overwrite = False,
    json_lines: options.Json = False,
) -> None:
    """Rotations around any axis: sigma .125 and .25 (radians), tau .75, n 1000."""
    _reproduce("shapenet-rotation", **locals())


_SHIPPED = {
    "shapenet": "certiseg:solids-gaussian",
    "shapenet-rotation": "certiseg:solids-rotation",
}
_PLAIN = "certiseg:solids"


def _reproduce(
    name: str,
    *,
    out: Path,
    model: list[str] | None,
    data: str,
    root: Path | None,
    non_robust: str | None,
    clouds: int,
    most_draws: int | None,
    channels: int | None,
    skip_bad: bool,
    batch_size: int | None,
    seed: int | None,
    device: str | None,
    overwrite: bool,
    json_lines: bool,
) -> None:
    from certiseg.datasets.card import note_of
    from certiseg.report.reproduction import records, rich_table
    from certiseg.runs.clouds import CLOUDS, open_clouds
    from certiseg.runs.experiments import EXPERIMENTS
    from certiseg.runs.malloc import keep_freed_memory
    from certiseg.runs.model import channels_of, open_model
    from certiseg.runs.reproduce import reproduce

    if data not in CLOUDS:
        raise InputError(f"expected --data {' or '.join(CLOUDS)}, got {data!r}; choose one")
    generated = data == "solids"
    if not model and not generated:
        raise InputError(
            "expected --model with --data shapenet, got none; pass a checkpoint such as "
            "pointnet2:best_model.pth, or a folder that certiseg train-clouds wrote"
        )
    keep_freed_memory()
    experiment = EXPERIMENTS[name].within(most_draws)
    specs = _by_sigma(model or [_SHIPPED[name]], experiment.sigmas)
    opened = {spec: open_model(spec, channels=channels) for spec in dict.fromkeys(specs.values())}
    plain = non_robust or (_PLAIN if generated and not model else None)
    widths = {channels_of(loaded) for loaded in opened.values()}
    if len(widths) > 1:
        raise InputError(
            f"expected models of one number of channels, got {sorted(widths)}; run them apart"
        )
    samples = open_clouds(data, channels=widths.pop(), root=root, limit=clouds, skip_bad=skip_bad)
    for reason in samples.skipped:
        print(f"skipped: {reason}", file=sys.stderr)
    lines = reproduce(
        experiment,
        samples,
        {sigma: opened[spec] for sigma, spec in specs.items()},
        out,
        non_robust=None if plain is None else open_model(plain, channels=channels),
        seed=seed,
        batch_size=batch_size,
        device=device,
        overwrite=overwrite,
        command=shlex.join(["certiseg", *sys.argv[1:]]),
        progress=not json_lines,
    )
    if json_lines:
        print(json.dumps(records(lines)))
        return
    console = Console()
    note = note_of(samples)
    title = f"{name} on {samples.card.name}: {len(samples)} clouds{f', {note}' if note else ''}"
    console.print(rich_table(lines, title))
    console.print(f"all figures: {out}", highlight=False, markup=False)


def _by_sigma(specs: list[str], sigmas: tuple[float, ...]) -> dict[float, str]:
    """The model of each sigma: SIGMA=MODEL where given, else the one without a sigma."""
    named: dict[float, str] = {}
    rest: list[str] = []
    for spec in specs:
        head, equals, tail = spec.partition("=")
        try:
            sigma = float(head) if equals else None
        except ValueError:
            sigma = None
        if sigma is None:
            rest.append(spec)
        elif sigma not in sigmas:
            raise InputError(
                f"expected --model for sigma {' or '.join(map(str, sigmas))}, got {spec!r}; "
                "the experiment has no other noise"
            )
        else:
            named[sigma] = tail
    missing = [sigma for sigma in sigmas if sigma not in named]
    if len(rest) > 1 or (missing and not rest):
        raise InputError(
            f"expected one --model for sigma {' and '.join(map(str, missing or sigmas))}, got "
            f"{len(rest)}; write SIGMA=MODEL for each"
        )
    return {sigma: named.get(sigma, rest[0] if rest else "") for sigma in sigmas}
