"""The benchmarks by name, and one run of several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from certiseg.bench.end_to_end import published_way
from certiseg.bench.growth import growth
from certiseg.bench.memory import memory
from certiseg.bench.options import Options
from certiseg.bench.overhead import overhead
from certiseg.bench.profile import profile
from certiseg.bench.result import Result
from certiseg.bench.statistics import statistics
from certiseg.errors import InputError
from certiseg.folders import locked

BENCHMARKS: dict[str, Callable[[Options], Result]] = {
    "statistics": statistics,
    "overhead": overhead,
    "published": published_way,
    "memory": memory,
    "growth": growth,
    "profile": profile,
}
_QUICK = "--quick: sizes at which the figures say nothing; goals are left out."
USUAL = ("statistics", "overhead", "published", "memory", "growth")


def run(
    names: Sequence[str], options: Options, out: Path | None = None, *, overwrite: bool = False
) -> Iterator[Result]:
    """Yield the results one after the other, each written to OUT first.

    names: none for the usual ones. Raises InputError for an unknown name and for earlier results,
    before anything is measured.
    """
    asked = names or USUAL
    for name in asked:
        if name not in BENCHMARKS:
            raise InputError(
                f"expected benchmarks among {', '.join(BENCHMARKS)}, got {name!r}; "
                "none runs the usual ones"
            )
    with ExitStack() as held:
        if out is not None:
            written = [f"{name}.{kind}" for name in asked for kind in ("json", "csv", "png", "svg")]
            held.enter_context(locked(out, written, overwrite))
        for name in asked:
            result = BENCHMARKS[name](options)
            if options.quick:
                result = replace(result, goals=(), notes=(*result.notes, _QUICK))
            if out is not None:
                result.write(out)
            yield result
