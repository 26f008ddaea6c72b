"""Write the report of run folders (``write_report``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write, output_folder, refuse_link
from certiseg.files.folders import locked
from certiseg.report.charts import charts
from certiseg.report.page.html import PALETTES, page
from certiseg.report.page.interactive import need_page_libraries
from certiseg.report.page.payload import run_payload, shared_payload
from certiseg.report.paper import Paper
from certiseg.report.summary import RunSummary, SampleSummary, summarise
from certiseg.runfolder.layout import Layout, kept_numbers
from certiseg.runfolder.run import Run, read_run
from certiseg.runfolder.view import read_view

_NAMED = 10
_MOST_COMPONENTS = 16_000_000


@dataclass(frozen=True)
class Written:
    """A written report.

    Args:
        page: its path.
        notes: a line for each missing or unreadable file.
        refuted: a line for each value of a run that does not follow from its other files.
    """

    page: Path
    notes: list[str]
    refuted: list[str]


def write_report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    figures: str | Path | None = None,
    images: int | None = None,
    palette: Literal["own", "safe"] = "own",
) -> Written:
    """Write the report of one run, or of several side by side, as one HTML file.

    Everything that can be recomputed is (docs/report.md). Samples that contradict it or whose files
    are damaged are excluded from all metrics, and listed in the result and on the page.

    Args:
        runs: folders written by certiseg evaluate or certiseg demo, finished or not.
        out: the HTML file; an earlier report there is replaced.
        figures: folder for figures for a paper, with a LaTeX and a CSV table.
        images: largest number of samples on the page, evenly spaced; None for all kept ones, up to
            16 million pixels in total.
        palette: initial colours: "own", the data set's, or "safe", colour-blind safe ones.

    Returns:
        Path, missing files, and contradictions.

    Raises:
        InputError: for folders that are not runs, for runs of different classes, kinds or norms,
            for a file other than a report at ``out``, and for a missing library.

    Example:
        ``write_report(["run-a", "run-b"], "report.html", figures="figures")``
    """
    need_page_libraries()
    target = Path(out)
    _check_page(target)
    if palette not in PALETTES:
        raise InputError(f"expected a palette own or safe, got {palette!r}; choose one")
    if images is not None and images < 0:
        raise InputError(f"expected at least 0 images, got {images}; leave it out for all")
    read = [read_run(Path(folder)) for folder in runs]
    names = _names(read)
    _check_side_by_side(read, names)
    with ExitStack() as held:
        paper = (
            None
            if figures is None
            else Paper(held.enter_context(locked(figures)), palette, several=len(read) > 1)
        )
        wanted = _wanted(read, _most(read[0]) if images is None else images)
        grid = _grid(read)
        samples: dict[str, dict[str, Any]] = {}
        notes: list[str] = []
        into = partial(_gather, wanted=wanted, samples=samples, notes=notes, paper=paper)
        summaries = [
            summarise(run, name, grid, partial(into, number=number))
            for number, (run, name) in enumerate(zip(read, names, strict=True))
        ]
        # Without samples that a run lacks, or whose input or truth differs.
        whole = [
            samples[name]
            for name in wanted
            if name in samples and len(samples[name]["runs"]) == len(read)
        ]
        drawn = charts(summaries)
        notes = _lines(summaries, _incomplete) + notes
        refuted = _lines(summaries, lambda run: run.refuted)
        content = page(summaries, drawn, whole, notes=notes, refuted=refuted, palette=palette)
        output_folder(target.parent)
        atomic_write(target, content.encode(errors="backslashreplace"))
        if paper is not None:
            paper.finish(summaries, drawn)
    return Written(target, notes, refuted)


def _check_page(target: Path) -> None:
    """Raise InputError if the path exists and is not an earlier report."""
    refuse_link(target)
    if not target.exists():
        return
    start = b""
    if target.is_file():
        with target.open("rb") as file:
            start = file.read(4096)
    if b'<meta name="generator" content="certiseg ' not in start:
        raise InputError(
            f"expected no file or an earlier report at {target}, got something else; move it away "
            "or choose another file with -o"
        )


def _gather(
    sample: SampleSummary,
    *,
    number: int,
    wanted: Sequence[str],
    samples: dict[str, dict[str, Any]],
    notes: list[str],
    paper: Paper | None,
) -> None:
    """Add a sample of a run (number) to the page's samples and to the paper's figures."""
    name = sample.kept.planned.name
    if name not in wanted:
        return
    if paper is not None:
        paper.sample(number, sample)
    shared = shared_payload(sample)
    known = samples.setdefault(name, {**shared, "runs": []})
    if len(known["runs"]) > number:
        # A second sample of the same name.
        return
    if any(known[key] != value for key, value in shared.items()):
        notes.append(
            f"{name}: expected one input and truth in all runs, got different ones; left out"
        )
    elif len(known["runs"]) == number:
        known["runs"].append(run_payload(sample))


def _names(runs: Sequence[Run]) -> list[str]:
    """Names of the runs' folders, with a number where they are equal."""
    if not runs:
        raise InputError("expected at least one run, got none; name a folder")
    titles = [run.title for run in runs]
    return [
        title if titles.count(title) == 1 else f"{title} ({number})"
        for number, title in enumerate(titles, start=1)
    ]


def _check_side_by_side(runs: Sequence[Run], names: Sequence[str]) -> None:
    first = runs[0].manifest
    for run, name in zip(runs[1:], names[1:], strict=True):
        for what, one, other in (
            ("kind of input", first.kind, run.manifest.kind),
            ("classes", first.classes, run.manifest.classes),
            ("norm", first.noise.norm, run.manifest.noise.norm),
        ):
            if one != other:
                both = f" ({one} and {other})" if isinstance(one, str) else ""
                raise InputError(
                    f"expected runs with the same {what}, got {names[0]} and {name} with "
                    f"different ones{both}; report them separately"
                )


def _most(run: Run) -> int | None:
    """Number of samples on a page, by the size of the first; None for all."""
    for planned in run.manifest.samples:
        if planned.kept and planned.number in run.done:
            try:
                view = read_view(Layout(run.root).view(planned.file), run.manifest)
            except InputError:
                continue
            return max(1, _MOST_COMPONENTS // view.truth.size)
    return None


def _wanted(runs: Sequence[Run], images: int | None) -> list[str]:
    """Names of the page's samples: kept and done in all runs, in the first run's order."""
    of_run = [
        {p.name for p in run.manifest.samples if p.kept and p.number in run.done} for run in runs
    ]
    common = [p.name for p in runs[0].manifest.samples if all(p.name in names for names in of_run)]
    unique = list(dict.fromkeys(common))
    return [unique[number] for number in sorted(kept_numbers(len(unique), images))]


def _grid(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Radii of the curves, up to 3 sigma."""
    noises = [run.manifest.noise for run in runs]
    return np.linspace(0.0, max(min(3 * noise.sigma, noise.largest) for noise in noises), 301)


def _lines(summaries: Sequence[RunSummary], lines: Callable[[Run], list[str]]) -> list[str]:
    """Lines about all runs, with the name of the run if there are several."""
    several = len(summaries) > 1
    return [
        f"{summary.name}: {line}" if several else line
        for summary in summaries
        for line in lines(summary.run)
    ]


def _incomplete(run: Run) -> list[str]:
    """Lines about missing or broken files of the run."""
    broken = [f"Left out: {line}" for line in run.broken]
    if not run.missing:
        return broken
    listed, more = ", ".join(run.missing[:_NAMED]), len(run.missing) - _NAMED
    unfinished = (
        f"This run is not finished. {len(run.done)} of {len(run.manifest.samples)} samples are "
        f"there; missing: {listed}{f' and {more} more' if more > 0 else ''}."
    )
    return [unfinished, *broken]
