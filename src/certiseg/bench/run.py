"""The benchmarks of `certiseg bench` by name, and running several of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from certiseg.bench.memory import memory
from certiseg.bench.overhead import overhead
from certiseg.bench.profile import profile
from certiseg.bench.result import Result
from certiseg.bench.subject import Options
from certiseg.bench.time_to_certificate import time_to_certificate
from certiseg.errors import InputError
from certiseg.files.folders import locked

Benchmark = Callable[[Options], Result]
BENCHMARKS: dict[str, Benchmark] = {
    "overhead": overhead,
    "memory": memory,
    "profile": profile,
    "time-to-certificate": time_to_certificate,
}
_QUICK = "--quick: sizes too small for meaningful figures; goals are left out."


def run(
    names: Sequence[str],
    options: Options,
    out: Path | None = None,
    *,
    overwrite: bool = False,
    known: dict[str, Benchmark] = BENCHMARKS,
) -> Iterator[Result]:
    """Run benchmarks one after the other; each result is written to OUT before it is yielded.

    names: keys of `known`; none for all. Raises InputError for an unknown name, and for existing
    results, before anything is measured.
    """
    asked = names or tuple(known)
    for name in asked:
        if name not in known:
            raise InputError(
                f"expected benchmarks among {', '.join(known)}, got {name!r}; none runs all"
            )
    with ExitStack() as held:
        if out is not None:
            written = [f"{name}.{kind}" for name in asked for kind in ("json", "csv", "png", "svg")]
            held.enter_context(locked(out, written, overwrite))
        for name in asked:
            result = known[name](options)
            if options.quick:
                result = replace(result, goals=(), notes=(*result.notes, _QUICK))
            if out is not None:
                result.write(out)
            yield result
