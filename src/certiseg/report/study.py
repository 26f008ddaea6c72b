"""Tables and figures of the studies."""

from __future__ import annotations

from collections.abc import Sequence

from certiseg.report.figures import Line, Panel, Range
from certiseg.rounding import down, exact, nearest, share_down, share_up
from certiseg.studies.correction import Compared, Task
from certiseg.studies.names import (
    BONFERRONI,
    HOLM,
    INDIVIDUAL,
    JOINT,
    RADIUS_MAP,
    STOPPING,
    pooled_name,
    uses_all_draws,
)
from certiseg.studies.synthetic import Measured, Scenario
from certiseg.studies.toy import Toy
from certiseg.table import Column, Table

COMPARING = (
    "Shares hold at R(tau), the radius map's too; gain is over the first row. Comparing is a "
    "study: a certificate's method and parameters are fixed before sampling, not chosen from such "
    "a table."
)
_STYLES = {
    method: style
    for style, method in enumerate(
        (BONFERRONI, JOINT, pooled_name(HOLM), INDIVIDUAL, STOPPING, RADIUS_MAP, HOLM)
    )
}
_LAST_STYLE = 15


def sweep_title(scenario: Scenario, toy: Toy) -> str:
    """Title for one toy model of the sweep, in two lines."""
    return (
        f"N = {toy.components}, gamma = {exact(toy.gamma)} (one component 5 gamma), "
        f"n0 + n = {scenario.selection} + {scenario.trials} draws,\n"
        f"tau = {exact(scenario.tau)}, alpha = {exact(scenario.alpha)}"
    )


def synthetic_table(rows: Sequence[Measured], scenario: Scenario, title: str) -> Table:
    """Table of all methods for one toy model of the sweep."""
    columns = (
        Column("method", "method"),
        Column("mean_draws", "draws", lambda draws: nearest(draws, 0)),
        Column("share", "share", share_down),
        Column("share_at_radius", "at R(tau)", share_down),
        Column("radius", "radius/sigma", lambda radius: down(radius, 3)),
        Column("error", "error", lambda error: share_up(error, 3)),
    )
    note = (
        "draws: both stages together, mean. share: at any radius. radius: mean, abstentions "
        "counting 0. error: repetitions with k false certificates; at most "
        f"{exact(scenario.alpha)} is claimed."
    )
    return Table(columns, rows, title, (note,))


def correction_table(rows: Sequence[Compared], title: str) -> Table:
    """Table of all methods over the stored certificates."""
    columns = (
        Column("method", "method"),
        Column("share", "certified", share_down),
        Column("lowest", "least", share_down),
        Column("highest", "largest", share_down),
        Column("gain", "gain", lambda gain: f"{'' if gain < 0 else '+'}{share_down(gain)}"),
    )
    return Table(columns, rows, title, (COMPARING,))


def correction_title(rows: Sequence[Compared], task: Task) -> str:
    """Title of the comparison, in one line."""
    images = f"{rows[0].images} image{'s' if rows[0].images > 1 else ''}"
    stages = f" ({task.selection} choose in two-stage methods)" if task.selection else ""
    return (
        f"{images}, {task.draws} draws{stages}, sigma = {exact(task.noise.sigma)}, "
        f"tau = {exact(task.tau)}, alpha = {exact(task.alpha)}"
    )


def synthetic_panels(rows: Sequence[Measured], scenario: Scenario) -> list[Panel]:
    """Panels of the sweep: methods with split selection, methods that test with all draws, and the
    number of draws of early stopping."""
    methods = list(dict.fromkeys(row.method for row in rows))
    two_stages = [name for name in methods if not uses_all_draws(name)]
    all_draws = [HOLM, *(name for name in methods if uses_all_draws(name))]
    titles = (
        f"{scenario.selection} draws choose, {scenario.trials} others test",
        f"all {scenario.draws} draws choose and test; Holm as on the left",
    )
    x_label = "number of components N" if _over_size(scenario) else "noise γ"
    panels = [
        Panel(
            title=title,
            lines=[line for name in shown for line in _lines(name, rows, scenario)],
            x_label=x_label,
            y_label="share of components certified at R(τ)",
            y_range=(-0.03, 1.05),
            log_x=_over_size(scenario),
        )
        for title, shown in zip(titles, (two_stages, all_draws), strict=True)
    ]
    points = [row for row in rows if row.method == STOPPING]
    used = [row.mean_draws for row in points]
    draws = Line(STOPPING, _x(points, scenario), used, _STYLES[STOPPING])
    every = (float(scenario.draws), "all other methods")
    return [
        *panels,
        Panel(
            title="draws until early stopping ends",
            lines=[draws],
            x_label=x_label,
            y_label="draws used (mean)",
            y_range=(0.0, 1.12 * scenario.draws),
            log_x=_over_size(scenario),
            levels=[every],
        ),
    ]


def synthetic_note(scenario: Scenario, repetitions: int) -> str:
    """Parameters of the figure, in one line."""
    toy = scenario.toys[0]
    fixed = f"γ = {exact(toy.gamma)}" if _over_size(scenario) else f"N = {toy.components}"
    return (
        f"{fixed}, one component at 5γ; τ = {exact(scenario.tau)}, α = {exact(scenario.alpha)}; "
        f"{scenario.draws} draws in all, early stopping as on the right; means of {repetitions} "
        "repetitions, bands: one standard error"
    )


def correction_ranges(rows: Sequence[Compared]) -> list[Range]:
    """Ranges of the methods, coloured by kind of selection."""
    split, pooled = _STYLES[BONFERRONI], _STYLES[pooled_name(HOLM)]
    return [
        Range(x.method, x.share, x.lowest, x.highest, pooled if uses_all_draws(x.method) else split)
        for x in rows
    ]


def _over_size(scenario: Scenario) -> bool:
    """True if the sweep is over N, False if over gamma."""
    return len({toy.components for toy in scenario.toys}) > 1


def _lines(method: str, rows: Sequence[Measured], scenario: Scenario) -> list[Line]:
    points = [row for row in rows if row.method == method]
    x, style = _x(points, scenario), _style(method, rows)
    error = [row.standard_error for row in points]
    at_radius = [row.share_at_radius for row in points]
    share = [row.share for row in points]
    lines = [Line(method, x, at_radius, style, error if share == at_radius else None)]
    if method == INDIVIDUAL:
        # As in the paper: certified at any radius.
        lines.append(Line(f"{method}, any radius", x, share, style, error, every=0))
    return lines


def _x(points: Sequence[Measured], scenario: Scenario) -> list[float]:
    return [float(row.components) if _over_size(scenario) else row.gamma for row in points]


def _style(method: str, rows: Sequence[Measured]) -> int:
    """Line style of a method: fixed for named ones; error budgets take the next, pooled ones from
    the end."""
    if method in _STYLES:
        return _STYLES[method]
    pooled = uses_all_draws(method)
    budgets = [row.method for row in rows if row.method not in _STYLES]
    alike = [name for name in dict.fromkeys(budgets) if uses_all_draws(name) == pooled]
    place = alike.index(method)
    return _LAST_STYLE - place if pooled else len(_STYLES) + place
