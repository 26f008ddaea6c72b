"""`certiseg selftest`: measured error rates compared with alpha, on the user's machine and
model."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from certiseg.cli import options
from certiseg.cli.model_options import ModelOptions, with_model
from certiseg.cli.numbers import size_of
from certiseg.errors import ClaimError
from certiseg.screen import say


@with_model("As for certify; default: no model is checked.")
def selftest(
    *,
    model: ModelOptions,
    images: Annotated[
        int, typer.Option(help="Simulated images per method, independent and coupled.")
    ] = 300,
    alpha: Annotated[
        float, typer.Option(help="Alpha of the simulation, large enough for errors to occur.")
    ] = 0.05,
    seed: Annotated[
        int | None,
        typer.Option(help="Seed of the simulation; default: fresh entropy."),
    ] = None,
    size: Annotated[str, typer.Option(help="Size of the random image for the model.")] = "96x128",
    device: options.Device = None,
    json_results: options.Json = False,
) -> None:
    """Check the statistics, every method at its least favourable null, the noise, and a model. Exit
    code 1 if a check fails. Takes less than a minute."""
    from certiseg.runs.selftest import selftest as run
    from certiseg.stats.pvalues import checked_alpha

    checks = []
    for check in run(
        model.load_if_named(),
        images=images,
        alpha=checked_alpha(alpha),
        seed=seed,
        size=size_of(size, "--size") or (96, 128),
        device=device or "cpu",
    ):
        checks.append(check)
        if not json_results:
            say(f"{'ok ' if check.passed else 'OFF'}  {check.name}: {check.seen}")
    if json_results:
        print(json.dumps([asdict(check) for check in checks]))
    wrong = [check.name for check in checks if not check.passed]
    if wrong:
        raise ClaimError(f"expected all {len(checks)} checks to hold, got {', '.join(wrong)} off")
