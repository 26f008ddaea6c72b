"""How much memory does voting take beyond the model's passes, and does it grow with n?

Every figure is the peak resident memory (VmHWM) of a fresh process, which returns freed memory to
the system at once: what the allocator keeps for later depends on chance, by tens of MiB. For the
model's passes alone, a process passes prepared batches of the same size through the model and
discards the output. What is loaded with the first draws counts on both sides.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, replace

from certiseg.bench.result import Goal, Result, Row, timing_environment
from certiseg.bench.subject import CAMVID, CAMVID_SIZE, NOISE, Options, subject
from certiseg.bench.timing import bare, ready_batch
from certiseg.errors import InputError
from certiseg.runs.malloc import return_freed_memory
from certiseg.runs.progress import steps

DRAWS, BATCH = (10, 100, 1000), 4
_FLAT = 1.05
"""Tolerance for differences between two processes caused by the allocator."""


@dataclass(frozen=True)
class Task:
    """The work of one process: voting, or (votes=False) passes of prepared batches alone.

    num_classes, channels: of a python: model.
    """

    model: str
    size: tuple[int, int]
    draws: int
    batch_size: int = BATCH
    votes: bool = True
    seed: int = 0
    num_classes: int | None = None
    channels: int | None = None


@dataclass(frozen=True)
class Peak:
    """Peak resident memory in bytes: before what is measured (program and model), and at the end.

    counts: bytes of the votes. batch: bytes of the inputs of one batch.
    """

    before: int
    at_end: int
    counts: int
    batch: int


def memory(options: Options) -> Result:
    """Measure one process for the model's passes, and one for each number of draws (that of the
    options, or 10, 100 and 1000)."""
    if options.device not in (None, "cpu"):
        raise InputError(
            f"expected --device cpu for memory, got {options.device}; it is resident memory"
        )
    model = (options.models or (CAMVID,))[0]
    size = options.size or ((48, 64) if options.quick else CAMVID_SIZE)
    draws: tuple[int, ...] = (3, 6) if options.quick else DRAWS
    if options.num_samples is not None:
        draws = (options.num_samples,)
    one = Task(
        model,
        size,
        2 * BATCH,
        seed=options.seed,
        num_classes=options.num_classes,
        channels=options.channels,
    )
    tasks = [replace(one, votes=False), *(replace(one, draws=n) for n in draws)]
    alone, *voting = [
        peak_of(task) for task in steps(tasks, len(tasks), "memory", show=options.progress)
    ]
    rows = [memory_row(f"{model}, passes alone", one, alone, None)]
    rows += [
        memory_row(model, *found, alone.at_end) for found in zip(tasks[1:], voting, strict=True)
    ]
    first, last = voting[0], voting[-1]
    beyond = max(peak.at_end - alone.at_end - peak.counts - peak.batch for peak in voting)
    goals = [
        Goal(
            "MiB beyond the passes (with their batch), counts and one more batch, at most",
            beyond / 2**20,
            1.0,
        )
    ]
    if len(draws) > 1:
        # More draws need wider integers for the counts.
        growth = (last.at_end - last.counts) / (first.at_end - first.counts)
        words = f"peak without the counts, n = {draws[-1]} over n = {draws[0]}"
        goals.append(Goal(words, growth, _FLAT))
    return Result(
        "memory",
        "How much memory does voting take beyond the model's own passes?",
        rows,
        timing_environment(options.command, options.on()),
        {"noise": NOISE.describe(), "batch": BATCH, "seed": options.seed},
        goals,
        ("peak: of the whole process, libraries included; freed memory is returned.",),
    )


def memory_row(what: str, task: Task, peak: Peak, alone: int | None) -> Row:
    mib = 2**20
    return {
        "what": what,
        "pixels": f"{task.size[0]} x {task.size[1]}",
        "n": task.draws,
        "before (MiB)": peak.before / mib,
        "peak (MiB)": peak.at_end / mib,
        "beyond the passes (MiB)": None if alone is None else (peak.at_end - alone) / mib,
        "counts (MiB)": peak.counts / mib if peak.counts else None,
        "a batch (MiB)": peak.batch / mib,
    }


def resident_peak() -> int:
    """Peak resident memory of this process so far, in bytes."""
    try:
        with open("/proc/self/status") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_peak() -> None:
    """Make the peak so far that of now, where Linux allows it."""
    with suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def peak_of(task: Task) -> Peak:
    """Run the task in a fresh process. Raises InputError where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(asdict(task))], capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"expected a measured process, got {last}; try a smaller --size or -n")
    return Peak(**json.loads(done.stdout))


def _measure(task: Task) -> Peak:
    return_freed_memory()
    options = Options(
        size=task.size, seed=task.seed, num_classes=task.num_classes, channels=task.channels
    )
    about = subject(task.model, options)
    smooth = about.smoothed()
    smooth.vote(about.x, 2, seed=task.seed)
    forget_peak()
    before = resident_peak()
    if not task.votes:
        batch = ready_batch(about.x, NOISE.sigma, task.batch_size)
        bare(about.model, batch, task.draws)
        return Peak(before, resident_peak(), 0, batch.nbytes)
    votes = smooth.vote(about.x, task.draws, batch_size=task.batch_size, seed=task.seed)
    return Peak(before, resident_peak(), votes.counts.nbytes, task.batch_size * about.x.nbytes)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    given["size"] = tuple(given["size"])
    print(json.dumps(asdict(_measure(Task(**given)))))
