"""A plan on the screen and as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table

from certiseg.report.figures import Line, Panel
from certiseg.rounding import down, exact, nearest, percent_down, significant, up
from certiseg.studies.plan import Prospect, Request


def plan_title(request: Request) -> tuple[str, str]:
    """What was asked, in two lines."""
    size = " x ".join(str(side) for side in request.size)
    kind = "pixels" if len(request.size) == 2 else "points"
    radius = down(request.noise.radius(request.tau))
    return (
        f"{size} {kind}, {request.num_classes} classes, {request.passes} passes",
        f"sigma = {exact(request.noise.sigma)}, tau = {exact(request.tau)} (radius {radius}), "
        f"alpha = {exact(request.alpha)}",
    )


def plan_table(rows: Sequence[Prospect], request: Request) -> Table:
    """One line a way to certify; what was asked is marked."""
    table = Table(
        title="\n".join(plan_title(request)),
        title_justify="left",
        caption=_footnote(request),
        caption_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("* asked", no_wrap=True)
    chance = f"p = {exact(request.probability)}"
    for heading in ("tests N", "n_min", "cutoff", "p 1/2", "p 9/10", chance, "votes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        name = f"{row.name} *" if row.asked else row.name
        found = ("too few", "-", "-", "-")
        if row.cutoff is not None:
            needs = (f"{row.cutoff}/{row.draws}", up(row.even), up(row.likely))
            found = (*needs, percent_down(row.chance))
        table.add_row(
            name,
            f"{row.components}",
            f"{row.n_min}",
            *found,
            f"{significant(row.vote_bytes / 1e6, 3, nearest)} MB",
        )
    return table


def _footnote(request: Request) -> str:
    return (
        "cutoff: hits that certify at the first step, where the test is hardest. p 1/2, p 9/10: "
        "probability that a component's label needs, to be certified with that chance. "
        f"p = {exact(request.probability)}: chance at that probability. A grid makes borders "
        "blockier; with k, up to k - 1 certified labels may be wrong."
    )


def curve_table(curves: Mapping[str, Sequence[float | None]], passes: Sequence[int]) -> Table:
    """Probability certified with chance 9/10, by passes."""
    table = Table(
        title="probability certified with chance 9/10, by number of passes",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("", no_wrap=True)
    for count in passes:
        table.add_column(f"{count}", justify="right", no_wrap=True)
    for name, values in curves.items():
        table.add_row(name, *map(up, values))
    return table


def plan_panel(
    curves: Mapping[str, Sequence[float | None]], passes: Sequence[int], request: Request
) -> Panel:
    """The curves, which fall towards tau and never reach it."""
    lines = []
    for style, (name, values) in enumerate(curves.items()):
        points = [(n, p) for n, p in zip(passes, values, strict=True) if p is not None]
        if points:
            x, y = zip(*points, strict=True)
            lines.append(Line(name, x, y, style, every=8))
    return Panel(
        title="",
        lines=lines,
        x_label="passes of the model (draws of noise)",
        y_label="probability certified with chance 9/10",
        y_range=(request.tau - 0.03 * (1 - request.tau), 1.0),
        log_x=True,
        levels=[(request.tau, "τ")],
    )
