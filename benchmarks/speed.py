"""What does certification cost on this machine? Every result file and table of docs/benchmarks.md.

Runs each line of PLAN in a process of its own, and puts the tables
into the page. A quarter of an hour on two cores; leave the machine alone meanwhile.

    python benchmarks/speed.py
    python benchmarks/speed.py --only overhead hrnet
    python benchmarks/speed.py --page-only
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from certiseg.bench.result import markdown, number
from certiseg.runs.output import write_text

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results", ROOT / "docs" / "benchmarks.md"
_BENCH = "-m certiseg.cli.main bench"
_HRNET = "--model python:benchmarks.networks:hrnet_w48 --num-classes 19 --size 1024x2048"
PLAN = {
    "statistics": "benchmarks/pixel_tests.py",
    "overhead": f"{_BENCH} overhead",
    "hrnet": f"{_BENCH} overhead {_HRNET} -n 48 --turns 3",
    "published": "benchmarks/end_to_end.py --turns 3",
    "memory": f"{_BENCH} memory",
    "classes": "benchmarks/many_classes.py",
    "growth": "benchmarks/growth.py",
    "profile": f"{_BENCH} profile",
}
"""Folder below benchmarks/results/speed -> what follows `python`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PLAN, default=list(PLAN))
    parser.add_argument("--page-only", action="store_true", help="Measure nothing.")
    options = parser.parse_args()
    for name in () if options.page_only else options.only:
        measure(name)
    text = PAGE.read_text(encoding="utf-8")
    for name in PLAN:
        files = list(folder(name).glob("*.json"))
        if files:
            pictures = sorted(folder(name).glob("*.png"))
            text = put(text, name, block(json.loads(files[0].read_text()), pictures))
    write_text(PAGE, text)


def folder(name: str) -> Path:
    return RESULTS / "speed" / name


def measure(name: str) -> None:
    # certiseg replaces no file that it cannot know to be its own, as after a checkout.
    for earlier in folder(name).glob("*.*"):
        earlier.unlink()
    arguments = [*PLAN[name].split(), "-o", str(folder(name).relative_to(ROOT))]
    print("python", *arguments, flush=True)
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True)


def block(record: dict[str, Any], pictures: Sequence[Path] = ()) -> str:
    """One result on the page: its table and pictures, what was aimed at, and where."""
    goals = [
        f"- {goal['goal']}: {number(goal['value'])}, goal {side} {number(goal[side])}: "
        + ("met" if goal["met"] else "**missed**")
        for goal in record["goals"]
        for side in ("at least", "at most")
        if side in goal
    ]
    notes = [f"- {note}" for note in record["notes"]]
    made = record["made_with"]
    machine = made["machine"]
    where = (
        f"{machine.get('gpu') or machine['processor']}, {machine['cpus']} cores, "
        f"{machine['threads']} threads, {machine['vector instructions']}, load "
        f"{machine['load']}; torch {made['torch']}, numpy {made['numpy']}, scipy {made['scipy']}; "
        f"{made['finished'][:10]}"
    )
    shown = [
        f"![{record['question']}](../{path.relative_to(ROOT).as_posix()})\n" for path in pictures
    ]
    listed = "\n".join([*goals, *notes]) + "\n"
    parts = [markdown(record), *shown, listed, f"Machine: {where}.\n"]
    return "\n".join(part for part in parts if part.strip())


def put(page: str, name: str, text: str) -> str:
    """The page with this text between the marks of that name, which must be there once."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    assert page.count(begin) == page.count(end) == 1, f"{PAGE}: expected one pair of {begin!r}"
    return re.sub(
        re.escape(begin) + ".*?" + re.escape(end),
        lambda _: f"{begin}\n{text}\n{end}",
        page,
        flags=re.DOTALL,
    )


if __name__ == "__main__":
    main()
