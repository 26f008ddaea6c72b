"""How much memory does voting take beyond the model's own passes, and does it grow with n?

Every figure is the peak of a fresh process's resident memory (VmHWM). The model's own passes are a
process that puts ready-made batches of the same size through the model and drops what it returns.
"""

from __future__ import annotations

from dataclasses import replace

from certiseg.bench.hardware import made_with
from certiseg.bench.options import Options
from certiseg.bench.peak import Peak, Task, peak_of
from certiseg.bench.result import Goal, Result, Row
from certiseg.bench.subjects import CAMVID, CAMVID_SIZE, CITYSCAPES_SIZE, COARSE, NOISE
from certiseg.errors import InputError
from certiseg.runs.progress import steps

DRAWS, BATCH = (10, 100, 1000), 4
LARGE_DRAWS, LARGE_LIMIT = 4, 2 * 2**30
_FLAT = 1.05
"""The allocator's own noise between two processes."""


def memory(options: Options) -> Result:
    """One process a number of draws, one for the model alone, one for 150 classes of 2 Mpixel."""
    if options.device not in (None, "cpu"):
        raise InputError(
            f"expected --device cpu for memory, got {options.device}; it is resident memory"
        )
    model = (options.models or (CAMVID,))[0]
    size = options.size or ((48, 64) if options.quick else CAMVID_SIZE)
    draws = (3, 6) if options.quick else DRAWS
    large = (64, 128) if options.quick else CITYSCAPES_SIZE
    one = Task(
        model,
        size,
        draws[0],
        BATCH,
        seed=options.seed,
        num_classes=options.num_classes,
        channels=options.channels,
    )
    tasks = [
        replace(one, draws=2 * BATCH, votes=False),
        *(replace(one, draws=n) for n in draws),
        Task(COARSE, large, LARGE_DRAWS, seed=options.seed),
    ]
    found = [peak_of(task) for task in steps(tasks, len(tasks), "memory", show=options.progress)]
    own, *grown, biggest = found
    rows = [_row(f"{model}, the passes alone", size, 2 * BATCH, own, None)]
    rows += [_row(model, size, n, peak, own.at_end) for n, peak in zip(draws, grown, strict=True)]
    rows.append(_row("150 classes from logits at 1/4", large, LARGE_DRAWS, biggest, None))
    most, last = max(grown, key=lambda peak: peak.at_end), grown[-1]
    # With more draws the counts themselves need wider integers.
    growth = (last.at_end - last.counts) / (grown[0].at_end - grown[0].counts)
    return Result(
        "memory",
        "How much memory does voting take beyond the model's own passes?",
        rows,
        made_with(options.command, options.on()),
        {"noise": NOISE.describe(), "batch": BATCH, "seed": options.seed},
        [
            Goal(
                "MiB beyond the passes, at most, over counts + one batch",
                (most.at_end - own.at_end) / (most.counts + most.batch),
                1.0,
            ),
            Goal(f"peak without the counts, n = {draws[-1]} over n = {draws[0]}", growth, _FLAT),
            Goal(
                f"GiB in all, {large[0]} x {large[1]} pixels, 150 classes",
                biggest.at_end / 2**30,
                LARGE_LIMIT / 2**30,
            ),
        ],
        ("peak: of the whole process, interpreter and libraries included.",),
    )


def _row(what: str, size: tuple[int, int], draws: int, peak: Peak, own: int | None) -> Row:
    return {
        "what": what,
        "pixels": f"{size[0]} x {size[1]}",
        "n": draws,
        "before (MiB)": _mib(peak.before),
        "peak (MiB)": _mib(peak.at_end),
        "beyond the passes (MiB)": None if own is None else _mib(peak.at_end - own),
        "counts (MiB)": _mib(peak.counts) if peak.counts else None,
        "a batch (MiB)": _mib(peak.batch),
    }


def _mib(value: int) -> float:
    return value / 2**20
