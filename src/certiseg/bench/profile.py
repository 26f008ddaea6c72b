"""Where does the time of ``vote`` go: noise, model, decisions, counting?

Phases: a second thread samples the stack of the voting thread a thousand times a second, without
disturbing it otherwise. Operators: ``torch.profiler`` over a separate run, with operators inside
and outside the model counted separately.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn

import certiseg
from certiseg.bench.result import Result, Row, timing_environment
from certiseg.bench.subject import CAMVID, NOISE, Options, Subject, subject
from certiseg.bench.timing import wait
from certiseg.rounding import nearest, significant

MODEL, OTHER = "model", "other"
PHASES = {
    "sampling/draw.py": "noise",
    "sampling/keys.py": "noise",
    "sampling/noise_samplers.py": "noise",
    "sampling/normals.py": "noise",
    "sampling/philox.py": "noise",
    "outputs/binary.py": "decide",
    "outputs/decide.py": "decide",
    "outputs/decision.py": "decide",
    "outputs/forms.py": "decide",
    "outputs/low_resolution.py": "decide",
    "outputs/tensors.py": "decide",
    "sampling/python_code.py": "checks",
    "sampling/fingerprint.py": "checks",
    "sampling/introspection.py": "checks",
    "sampling/library_state.py": "checks",
    "sampling/checks.py": "checks",
    "votes.py": "count",
}
"""Phase of each file of the package, except for ``FUNCTIONS``."""
FUNCTIONS = {"add_to": "count", "new_counts": "count"}
_HOME = Path(certiseg.__file__).parent
_PERIOD = 1e-3
_OPERATORS = 8
_INSIDE = "certiseg: inside the model"


def profile(options: Options) -> Result:
    """Rows of phases, then of the most expensive operators."""
    about = subject((options.models or (CAMVID,))[0], options)
    smooth = about.smoothed()

    def vote() -> None:
        smooth.vote(about.x, about.draws, seed=options.seed)
        wait(about.device)

    vote()
    places, whole = watched(vote, about.model)
    samples = sum(places.values())
    phases: Counter[str] = Counter()
    for (phase, _), count in places.items():
        phases[phase] += count
    rows: list[Row] = [
        _row("phase", phase, count / samples, whole) for phase, count in phases.most_common()
    ]
    rows += [
        _row(f"place in {phase}", where, count / samples, whole)
        for (phase, where), count in places.most_common(_OPERATORS)
        if phase != MODEL
    ]
    rows += operators(vote, about)
    return Result(
        "profile",
        f"Where does the time of vote go? {about.name}, n = {about.draws}",
        rows,
        timing_environment(options.command, about.device),
        {
            "model": about.name,
            "input": list(about.x.shape),
            "noise": NOISE.describe(),
            "n": about.draws,
            "seed": options.seed,
            "samples": samples,
        },
        notes=(
            f"phases and places: {samples} samples of the voting thread's stack over "
            f"{significant(whole, 3, nearest)} s; noise is the time spent waiting for it, since "
            "other threads draw it in advance.",
            "operators: self time under torch.profiler, which slows small ones; share of all "
            "operators.",
        ),
    )


def watched(
    call: Callable[[], object], model: Callable[..., Any]
) -> tuple[Counter[tuple[str, str]], float]:
    """Stack samples by (phase, place) of the calling thread during the call, and its duration in
    seconds."""
    places: Counter[tuple[str, str]] = Counter()
    done, me = threading.Event(), threading.get_ident()

    def sample() -> None:
        while not done.wait(_PERIOD):
            frame = sys._current_frames().get(me)
            if frame is not None:
                places[phase_of(frame, model)] += 1

    watcher = threading.Thread(target=sample, daemon=True)
    start = time.perf_counter()
    watcher.start()
    try:
        call()
    finally:
        done.set()
        watcher.join()
    return places, time.perf_counter() - start


def phase_of(frame: FrameType | None, model: Callable[..., Any]) -> tuple[str, str]:
    """Phase and place of a stack: the model if it is on the stack, else the innermost frame in this
    package."""
    code = getattr(model, "__code__", None)
    innermost: FrameType | None = None
    while frame is not None:
        if frame.f_code is code or frame.f_locals.get("self") is model:
            return MODEL, MODEL
        if innermost is None and Path(frame.f_code.co_filename).is_relative_to(_HOME):
            innermost = frame
        frame = frame.f_back
    if innermost is None:
        return OTHER, OTHER
    inner_code = innermost.f_code
    file = Path(inner_code.co_filename).relative_to(_HOME).as_posix()
    phase = FUNCTIONS.get(inner_code.co_name, PHASES.get(file, OTHER))
    return phase, f"{file} {inner_code.co_name}"


def operators(call: Callable[[], object], about: Subject) -> list[Row]:
    """Rows of the most expensive operators outside the model, and one row for those inside."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as torch_profile

    gpu = about.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if gpu else [])]
    with marked(about.model), torch_profile(activities=activities) as seen:
        call()
    inside: Counter[str] = Counter()
    outside: Counter[str] = Counter()
    for event in seen.events():
        if event.name != _INSIDE:
            self_time = event.self_device_time_total if gpu else event.self_cpu_time_total
            (inside if _in_model(event) else outside)[event.name] += self_time
    whole = sum(inside.values()) + sum(outside.values())
    clock = "GPU" if gpu else "CPU"
    rows = [_row(f"operators, {clock}", MODEL, sum(inside.values()) / whole, whole / 1e6)]
    rows += [
        _row(f"operators, {clock}", name, spent / whole, whole / 1e6)
        for name, spent in outside.most_common(_OPERATORS)
    ]
    return rows


def _in_model(event: Any) -> bool:
    parent = event.cpu_parent
    while parent is not None:
        if parent.name == _INSIDE:
            return True
        parent = parent.cpu_parent
    return False


@contextmanager
def marked(model: Callable[..., Any]) -> Iterator[None]:
    """Mark the model's passes for the profiler, if it is a module.

    Hooks are put on its children, since a hook on the module itself would change the way in which
    ``vote`` runs it.
    """
    if not isinstance(model, nn.Module):
        yield
        return
    parts = list(nn.Module.children(model)) or [model]
    ranges: list[Any] = []

    def begin(*_: object) -> None:
        ranges.append(torch.profiler.record_function(_INSIDE))
        ranges[-1].__enter__()

    def end(*_: object) -> None:
        ranges.pop().__exit__(None, None, None)

    hooks = [part.register_forward_pre_hook(begin) for part in parts]
    hooks += [part.register_forward_hook(end) for part in parts]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _row(kind: str, name: str, share: float, whole: float) -> Row:
    return {"kind": kind, "name": name, "share (%)": 100 * share, "seconds": share * whole}
