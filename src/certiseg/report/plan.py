"""Tables and figure of ``certiseg plan``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from certiseg.report.figures import Line, Panel
from certiseg.rounding import down, exact, nearest, percent_down, significant, up
from certiseg.studies.plan import Prospect, Request
from certiseg.table import Column, Table


def plan_title(request: Request) -> tuple[str, str]:
    """The request in two lines."""
    size = " x ".join(str(side) for side in request.size)
    kind = {1: "points", 2: "pixels", 3: "voxels"}[len(request.size)]
    radius = down(request.noise.radius(request.tau))
    return (
        f"{size} {kind}, {request.num_classes} classes, {request.passes} passes",
        f"sigma = {exact(request.noise.sigma)}, tau = {exact(request.tau)} (radius {radius}), "
        f"alpha = {exact(request.alpha)}",
    )


def plan_table(rows: Sequence[Prospect], request: Request) -> Table:
    """Table of the variants; the requested one is marked."""
    p = exact(request.probability)
    columns = (
        Column("way", "* asked"),
        Column("components", "tests N"),
        Column("n_min", "n_min"),
        Column("cutoff", "cutoff"),
        Column("even", "p 1/2"),
        Column("likely", "p 9/10"),
        Column("chance", f"p = {p}"),
        Column("votes", "votes (MB)"),
    )
    note = (
        "cutoff: hits that certify at the first step, where the test is hardest. p 1/2, p 9/10: "
        "probability that a component's label needs, to be certified with that chance. "
        f"p = {p}: chance at that probability. A grid makes borders blockier; with k, up to k - 1 "
        "certified labels may be wrong."
    )
    shown = [
        {
            "way": f"{row.name} *" if row.asked else row.name,
            "components": row.components,
            "n_min": row.n_min,
            "cutoff": "too few" if row.cutoff is None else f"{row.cutoff}/{row.draws}",
            "even": up(row.even),
            "likely": up(row.likely),
            "chance": percent_down(row.chance),
            "votes": significant(row.vote_bytes / 1e6, 3, nearest),
        }
        for row in rows
    ]
    return Table(columns, shown, "\n".join(plan_title(request)), (note,))


def offer_table(offers: Sequence[tuple[str, float, Prospect]], within: float) -> Table:
    """Table of what fits into `within` seconds: (precision, seconds of a draw, prospect), the best
    first."""
    columns = (
        Column("precision", "--precision"),
        Column("seconds", "s per draw"),
        Column("draws", "-n"),
        Column("likely", "p 9/10"),
    )
    rows = [
        {
            "precision": precision,
            "seconds": significant(seconds, 2, nearest),
            "draws": f"{row.draws}" if row.draws >= row.n_min else f"{row.draws}, too few",
            "likely": up(row.likely),
        }
        for precision, seconds, row in offers
    ]
    precision, seconds, best = offers[0]
    enough = best.draws >= best.n_min
    note = (
        f"advice: -n {best.draws} --precision {precision}."
        if enough
        else f"advice: {significant(best.n_min * seconds, 2, up)} seconds or more here, for the "
        f"{best.n_min} draws without which nothing is certified."
    )
    more = (
        "Each precision is a base model of its own. certiseg quantize writes the int8 form of a "
        "model, a further --model to plan with."
    )
    return Table(columns, rows, f"within {exact(within)} seconds for one input here", (note, more))


def curve_table(curves: Mapping[str, Sequence[float | None]], passes: Sequence[int]) -> Table:
    """Table of the label probability certified with probability 9/10, by number of passes."""
    columns = [Column("name", ""), *(Column(f"{count}", f"{count}", up) for count in passes)]
    rows = [
        {"name": name, **dict(zip(map(str, passes), values, strict=True))}
        for name, values in curves.items()
    ]
    title = "probability certified with chance 9/10, by number of passes"
    return Table(columns, rows, title)


def plan_panel(
    curves: Mapping[str, Sequence[float | None]], passes: Sequence[int], request: Request
) -> Panel:
    """Curves of the label probability certified with probability 9/10; they approach tau."""
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
