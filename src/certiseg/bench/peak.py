"""The most memory a process held: run as a program of its own, that measures one thing and ends.

python -m certiseg.bench.peak '{"model": "certiseg:camvid", "size": [360, 480], "draws": 100}'
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from dataclasses import asdict, dataclass

from certiseg.errors import InputError


@dataclass(frozen=True)
class Task:
    """What the process does: vote, or only pass ready-made batches through the model.

    num_classes, channels: of a python: model.
    """

    model: str
    size: tuple[int, int]
    draws: int
    batch_size: int | None = None
    votes: bool = True
    seed: int = 0
    num_classes: int | None = None
    channels: int | None = None


@dataclass(frozen=True)
class Peak:
    """Bytes resident at most: before anything ran (program and model), and at the end.

    counts: bytes of the votes. batch: bytes of the inputs of one batch.
    """

    before: int
    at_end: int
    counts: int
    batch: int


def resident_peak() -> int:
    """The most bytes of this process that were resident at once, so far."""
    try:
        with open("/proc/self/status") as lines:
            for line in lines:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def peak_of(task: Task) -> Peak:
    """What a fresh process held. Raises InputError where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", __name__, json.dumps(asdict(task))], capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise InputError(f"expected a measured process, got {last}; try a smaller --size or -n")
    return Peak(**json.loads(done.stdout))


def _measure(task: Task) -> Peak:
    from certiseg.bench.options import Options
    from certiseg.bench.passes import bare, picked_batch, ready_batch
    from certiseg.bench.subjects import NOISE, subject
    from certiseg.runs.malloc import keep_freed_memory

    keep_freed_memory()  # as the command line does
    options = Options(
        size=task.size,
        num_samples=task.draws,
        seed=task.seed,
        num_classes=task.num_classes,
        channels=task.channels,
    )
    about = subject(task.model, options)
    before, size = resident_peak(), task.batch_size
    if not task.votes:
        batch = ready_batch(about.x, NOISE.sigma, size or 1)
        bare(about.model, batch, task.draws)
        return Peak(before, resident_peak(), 0, batch.nbytes)
    smooth = about.smoothed()
    votes = smooth.vote(about.x, task.draws, batch_size=size, seed=task.seed)
    most = resident_peak()
    held = size or picked_batch(smooth, about.x, min(task.draws, 8))
    return Peak(before, most, votes.counts.nbytes, held * about.x.nbytes)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    given["size"] = tuple(given["size"])
    print(json.dumps(asdict(_measure(Task(**given)))))
