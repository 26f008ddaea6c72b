"""The studies on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from certiseg.rounding import down, exact, nearest, share_down, share_up
from certiseg.studies.correction import Compared, Task
from certiseg.studies.synthetic import Measured, Scenario
from certiseg.studies.toy import Toy

COMPARING = (
    "Shares hold at R(tau), the radius map's too; gain is over the first row. Comparing is a "
    "study: a certificate's method and parameters are fixed before sampling, not chosen from such "
    "a table."
)


def sweep_title(scenario: Scenario, toy: Toy) -> str:
    """One point of the sweep, in two lines."""
    return (
        f"N = {toy.components}, gamma = {exact(toy.gamma)} (one component 5 gamma), "
        f"n0 + n = {scenario.selection} + {scenario.trials} draws,\n"
        f"tau = {exact(scenario.tau)}, alpha = {exact(scenario.alpha)}"
    )


def synthetic_table(rows: Sequence[Measured], scenario: Scenario, title: str) -> Table:
    """All methods at one point of the sweep."""
    table = Table(
        title=title,
        title_justify="left",
        caption=(
            "draws: both stages together, mean. share: at any radius. radius: mean, abstentions "
            "counting 0. error: repetitions with k false certificates; at most "
            f"{exact(scenario.alpha)} is claimed."
        ),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("method", no_wrap=True)
    for heading in ("draws", "share", "at R(tau)", "radius/sigma", "error"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.method,
            nearest(row.mean_draws, 0),
            share_down(row.share),
            share_down(row.share_at_radius),
            down(row.radius, 3),
            share_up(row.error, 3),
        )
    return table


def correction_table(rows: Sequence[Compared], title: str) -> Table:
    """All methods over the stored certificates."""
    table = Table(
        title=title,
        title_justify="left",
        caption=COMPARING,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("method", no_wrap=True)
    for heading in ("certified", "least", "largest", "gain"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(
            row.method,
            share_down(row.share),
            share_down(row.lowest),
            share_down(row.highest),
            f"{'' if row.gain < 0 else '+'}{share_down(row.gain)}",
        )
    return table


def correction_title(rows: Sequence[Compared], task: Task) -> str:
    """What the comparison rests on, in one line."""
    images = f"{rows[0].images} image{'s' if rows[0].images > 1 else ''}"
    stages = f" ({task.selection} choose in two-stage methods)" if task.selection else ""
    return (
        f"{images}, {task.draws} draws{stages}, sigma = {exact(task.noise.sigma)}, "
        f"tau = {exact(task.tau)}, alpha = {exact(task.alpha)}"
    )
