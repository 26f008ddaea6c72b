"""Do votes of 1024 x 2048 pixels and 150 classes fit into 2 GiB?

Peak resident memory of a fresh process that votes with coarse logits, one draw a batch.

    python benchmarks/many_classes.py -o benchmarks/results/speed/classes
"""

from __future__ import annotations

from certiseg.bench.memory import Task, memory_row, peak_of
from certiseg.bench.result import Goal, Result, timing_environment
from certiseg.bench.subject import NOISE, Options
from command import main

MODEL, CLASSES, DRAWS, LIMIT = "python:benchmarks.networks:coarse_150", 150, 4, 2.0


def many_classes(options: Options) -> Result:
    """One process; run from the root of the repository."""
    size = (64, 128) if options.quick else (1024, 2048)
    task = Task(MODEL, size, options.num_samples or DRAWS, batch_size=1, seed=options.seed)
    peak = peak_of(task)
    words = f"GiB in all, {size[0]} x {size[1]} pixels, {CLASSES} classes"
    return Result(
        "classes",
        "Do votes of 1024 x 2048 pixels and 150 classes fit into 2 GiB?",
        [memory_row(f"{CLASSES} classes from logits at 1/4", task, peak, None)],
        timing_environment(options.command, options.on()),
        {"noise": NOISE.describe(), "batch": task.batch_size, "seed": options.seed},
        [Goal(words, peak.at_end / 2**30, LIMIT)],
        ("peak: of the whole process, interpreter and libraries included.",),
    )


if __name__ == "__main__":
    main("classes", many_classes)
