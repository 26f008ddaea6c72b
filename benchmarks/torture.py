"""Is anything lost, doubled, half, mixed, executed or hung when runs are killed, disks are full,
files are damaged and commands meet in one folder?

Tiny pictures and a model of three lines; each trial is a process of its own, which is killed, ended
or refused at a moment or with a file that --seed chooses, then asked to go on, and compared with
what a run left alone writes. Prints a table, and exits with 1 unless all its columns but the first
are zero. Mounts need root; without it their rows have nothing tried.

    python benchmarks/torture.py --seconds 600 --seed 0
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch
from PIL import Image

from certiseg.cli.main import run
from certiseg.datasets.card import Card, Sample
from certiseg.errors import ClaimError, InputError
from certiseg.runs.model import open_model
from certiseg.runs.reproduction import tables
from certiseg.runs.reproduction.grid import Grid, Point
from certiseg.training import state
from readers import READERS
from same_runs import timeless

COLUMNS = ("tried", "lost", "doubled", "half", "mixed", "executed", "hung", "unforeseen")
MODELS = """
import torch

def by_brightness():
    def model(x):
        y = x.mean(1, keepdim=True)
        return torch.cat([0.35 - y, 0 * y, y - 0.65], 1)
    return model
"""
MODEL = ("--model", "python:torture_models:by_brightness", "--num-classes", 3)
PLACE = Path(tempfile.gettempdir()) / f"torture-{os.getpid()}"
PATIENCE = 120.0
"""Seconds after which a process hangs."""
RUNS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
"""Audit events of code that a file made run."""
FREE = ("training-state.pt", "status.json", "CARD.md")
"""Files that need not be the same, or there."""

Act = Callable[[Path], int]
"""A command into a folder; returns its exit code. Called again it goes on."""
Row = dict[str, int]


class Pictures:
    """Four of three bands under noise."""

    card = Card(
        "bands", ("dark", "middle", "bright"), ((0, 0, 0), (9, 9, 9), (99, 99, 99)), 3, "", ""
    )

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Sample:
        if index >= len(self):
            raise IndexError(index)
        truth = (np.arange(24) * 3 // 24)[None].repeat(16, axis=0).astype(np.uint8)
        x = truth / 2 + np.random.default_rng(index).normal(0, 0.1, (3, 16, 24))
        x = np.round(np.clip(x, 0, 1) * 255) / 255
        return Sample(f"band-{index}", x.astype(np.float32), truth)


class Hung(BaseException):
    """No error that a reader could take for one of its own."""


def prepare() -> None:
    """Pictures, labels and the model, in what becomes the current folder."""
    PLACE.mkdir()
    os.chdir(PLACE)
    sys.path.insert(0, str(PLACE))
    # Once for all processes.
    for name in ("runs.certify", "runs.evaluate", "runs.train", "runs.malloc", "training.images"):
        import_module(f"certiseg.{name}")
    Path("torture_models.py").write_text(MODELS)
    for part in ("images", "labels"):
        Path(part).mkdir()
    for sample in Pictures():
        x = np.round(sample.x.transpose(1, 2, 0) * 255).astype(np.uint8)
        Image.fromarray(x).save(f"images/{sample.name}.png")
        Image.fromarray(sample.labels).save(f"labels/{sample.name}.png")


# The commands.


def call(*words: object) -> int:
    return run([str(word) for word in words])


def evaluate(out: Path, sigma: float = 0.25, how: str = "--resume") -> int:
    files = ("--images", "images", "--labels", "labels", "-n", 80, "--tau", 0.6, "--seed", 3)
    return call("evaluate", *MODEL, *files, "--sigma", sigma, "--no-report", how, "-o", out)


def certify(out: Path, pictures: str = "0123", sigma: float = 0.25) -> int:
    files = [f"images/band-{number}.png" for number in pictures]
    method = ("-n", 80, "--tau", 0.6, "--seed", 3, "--sigma", sigma)
    return call("certify", *files, *MODEL, *method, "--overwrite", "-o", out)


def train(out: Path) -> int:
    data = [w for part in ("images", "labels") for w in (f"--{part}", part, f"--val-{part}", part)]
    small = ("--classes", 3, "--epochs", 4, "--batch-size", 2, "--widths", "4,6", "--blocks", "0,1")
    files = [out / name for name in ("model.safetensors", "card.json", "CARD.md")]
    if (out / state.STATE_FILE).exists():
        how = ["--resume"]
    elif all(file.exists() for file in files):
        return 0
    else:
        how = []
    return call("train", "--data", "folder", *data, "--sigma", 0.25, *small, *how, "-o", out)


def reproduce(out: Path) -> int:
    model = open_model(MODEL[1], num_classes=3)
    grid = Grid(scales=((1.0,),), sigmas=(0.25,), points=(Point(0.6, 80),), alphas=(0.01,))
    tables.reproduce(grid, Pictures(), {0.25: model}, out, seed=3)
    return 0


COMMANDS: dict[str, Act] = {
    "evaluate": evaluate,
    "certify": certify,
    "train": train,
    "reproduce": reproduce,
}


# Processes.


def started(act: Act, out: Path, prepared: Callable[[], object] = lambda: None) -> int:
    """The id of a process that does it; what it says of errors goes to a file."""
    process = os.fork()
    if process:
        return process
    code = 99
    try:
        for handle, file in ((1, os.devnull), (2, said(os.getpid()))):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), handle)
        torch.set_num_threads(1)
        prepared()
        code = act(out)
    except BaseException as error:
        traceback.print_exc()
        code = 2 if isinstance(error, (InputError, OSError)) else 99
    finally:
        sys.stderr.flush()
        os._exit(code)


def said(process: int) -> Path:
    return PLACE / f"said-{process}.txt"


def ended(process: int, row: Row, allowed: tuple[int, ...] = (0,)) -> int:
    """Its exit code, negative for a signal; counted are what hangs and what is not allowed."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found, status = os.waitpid(process, os.WNOHANG)
        if found:
            code = os.waitstatus_to_exitcode(status)
            if code not in allowed:
                row["unforeseen"] += 1
                print(f"exit code {code}: {said(process).read_text()[-400:]}", file=sys.stderr)
            said(process).unlink(missing_ok=True)
            return code
        time.sleep(0.005)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    row["hung"] += 1
    return 0


# What is there.


def contents(out: Path) -> dict[str, Any]:
    """What each file says, without what says when; None for one that is no whole file."""
    files = [p for p in out.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return {str(p.relative_to(out)): _said(p) for p in files if p.name not in FREE}


def _said(path: Path) -> Any:
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            return _bare(json.loads(content))
        if path.suffix == ".jsonl":
            return [_bare(json.loads(line)) for line in content.splitlines()]
        if path.suffix == ".npz":
            assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
        if path.suffix == ".png":
            Image.open(io.BytesIO(content)).load()
        # Their last column is the time an input took.
        return "table" if path.stem in ("table", "curve", "false") else content
    except (ValueError, OSError, zipfile.BadZipFile, AssertionError):
        return None


def _bare(value: Any) -> Any:
    """Without times, and digests over them."""
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in timeless(value).items() if k not in ("digest", "view")}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def halves(out: Path, row: Row) -> None:
    row["half"] += sum(said is None for said in contents(out).values())


def compare(whole: dict[str, Any], out: Path, row: Row) -> None:
    found = contents(out)
    row["lost"] += len(whole.keys() - found.keys())
    row["doubled"] += len(found.keys() - whole.keys())
    row["half"] += len(list(out.rglob(".certiseg-*.tmp"))) + sum(v is None for v in found.values())
    names = [record["name"] for record in found.get("results.jsonl") or []]
    row["doubled"] += len(names) - len(set(names))
    row["mixed"] += sum(found[name] != whole[name] for name in whole.keys() & found.keys())


# The trials.


class Torture:
    """rows: of the table so far. whole: of each command, what it writes when left alone; taken: in
    how many seconds."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.rows: dict[str, Row] = {}
        self.whole, self.taken = {}, {}
        for name, act in COMMANDS.items():
            began = time.monotonic()
            self.whole[name] = self.alone(act)
            self.taken[name] = time.monotonic() - began

    def row(self, name: str) -> Row:
        return self.rows.setdefault(name, dict.fromkeys(COLUMNS, 0))

    def fresh(self) -> Path:
        # The name is in the card of a model.
        return Path(tempfile.mkdtemp(dir=PLACE)) / "out"

    def alone(self, act: Act) -> dict[str, Any]:
        out, row = self.fresh(), self.row("left alone")
        row["tried"] += 1
        ended(started(act, out), row)
        return contents(out)

    def killed(self, name: str, number: int) -> None:
        """Killed up to three times, at any moment, then left to end."""
        act, out = COMMANDS[name], self.fresh()
        row = self.row(f"{signal.Signals(number).name}, {name}")
        row["tried"] += 1
        for _ in range(self.chance.randint(1, 3)):
            process = started(act, out)
            time.sleep(self.chance.random() * self.taken[name])
            with suppress(ProcessLookupError):
                os.kill(process, number)
            # By Ctrl-C's kin Python may be ended before it listens.
            ended(process, row, (0, -number, 128 + number))
            halves(out, row)
        ended(started(act, out), row)
        compare(self.whole[name], out, row)

    def together(self) -> None:
        """Two evaluations of other noise, two certifications of other pictures, at once."""
        row, out = self.row("two runs in one folder, evaluate"), self.fresh()
        row["tried"] += 1
        acts: list[Act] = [lambda o, s=s: evaluate(o, s, "--overwrite") for s in (0.25, 0.5)]
        both = [started(act, out) for act in acts]
        codes = [ended(process, row, (0, 2)) for process in both]
        halves(out, row)
        whole = [of for of, code in zip(self.two, codes, strict=True) if code == 0]
        row["mixed"] += contents(out) not in whole
        row, out = self.row("two runs in one folder, certify"), self.fresh()
        row["tried"] += 1
        parts = ("01", "23")
        both = [started(lambda o, p=part: certify(o, p), out) for part in parts]
        codes = [ended(process, row, (0, 2)) for process in both]
        for part, code in zip(parts, codes, strict=True):
            if code == 2:
                ended(started(lambda o, p=part: certify(o, p), out), row)
        found = contents(out)
        lines = found.get("results.jsonl") or []
        found["results.jsonl"] = sorted(lines, key=lambda line: line["name"])
        row["lost"] += len(self.whole["certify"].keys() - found.keys())
        row["mixed"] += found != self.whole["certify"]

    def full(self, name: str) -> None:
        """A disk that fills up at any moment, and is emptied."""
        row = self.row(f"full disk, {name}")
        with mounted(f"size={self.chance.randint(1, 40) * 4}k") as disk:
            if disk is None:
                return
            row["tried"] += 1
            act, out = COMMANDS[name], disk / "out"
            ended(started(act, out), row, (0, 2))
            halves(out, row)
            mount("-o", "remount,size=64m", str(disk))
            ended(started(act, out), row)
            compare(self.whole[name], out, row)

    def read_only(self, name: str) -> None:
        row = self.row(f"read-only folder, {name}")
        with mounted("size=1m,ro") as disk:
            if disk is not None:
                row["tried"] += 1
                ended(started(COMMANDS[name], disk / "out"), row, (2,))

    def unheard(self, name: str) -> None:
        """Standard output is a pipe that nobody reads from."""
        row, out = self.row(f"closed stdout, {name}"), self.fresh()
        row["tried"] += 1

        def closed() -> None:
            reading, writing = os.pipe()
            os.close(reading)
            os.dup2(writing, 1)

        ended(started(COMMANDS[name], out, closed), row)
        compare(self.whole[name], out, row)

    def damaged(self, kind: str, seconds: float) -> None:
        """Damaged files of one reader, in a process of their own."""
        row = self.row(f"damaged files, {kind}")
        told = self.fresh().parent / "told.json"
        first = self.chance.randrange(2**32)
        process = started(lambda folder: _fuzz(kind, folder, first, seconds, told), told.parent)
        ended(process, row)
        found = json.loads(told.read_text()) if told.exists() else {}
        for text in found.pop("errors", []):
            print(f"{kind}, damage {text}", file=sys.stderr)
        for name, value in found.items():
            row[name] += value

    def all(self, seconds: float) -> None:
        self.two = [self.alone(lambda o, s=s: evaluate(o, s, "--overwrite")) for s in (0.25, 0.5)]
        began = time.monotonic()
        for kind in READERS:
            self.damaged(kind, 0.2 * seconds / len(READERS))
        while time.monotonic() - began < seconds:
            for name in COMMANDS:
                self.killed(name, signal.SIGKILL)
                self.killed(name, self.chance.choice((signal.SIGTERM, signal.SIGHUP)))
                self.full(name)
                if time.monotonic() - began > seconds:
                    break
            self.together()
            name = self.chance.choice(list(COMMANDS))
            self.read_only(name)
            self.unheard(name)


def _fuzz(kind: str, folder: Path, first: int, seconds: float, told: Path) -> int:
    reader, row, inside = READERS[kind], dict.fromkeys(COLUMNS, 0), [False]
    errors: list[str] = []

    def listens(event: str, _: object) -> None:
        if inside[0] and event in RUNS:
            row["executed"] += 1

    def hangs(*_: object) -> None:
        raise Hung

    warnings.simplefilter("ignore")
    (folder / "whole").mkdir()
    reader.make(folder / "whole")
    reader.read(folder / "whole" / reader.name)
    sys.addaudithook(listens)
    signal.signal(signal.SIGALRM, hangs)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        row["tried"] += 1
        signal.alarm(20)
        inside[0] = True
        try:
            reader.try_damaged(folder / "whole", first + row["tried"])
        except (InputError, ClaimError) as error:
            row["unforeseen"] += "\n" in str(error)
        except Hung:
            row["hung"] += 1
        except Exception as error:
            row["unforeseen"] += 1
            errors.append(f"{first + row['tried']}: {error!r}")
        inside[0] = False
        signal.alarm(0)
        told.write_text(json.dumps({**row, "errors": errors}))
    return 0


def mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


@contextmanager
def mounted(options: str) -> Iterator[Path | None]:
    """A small disk in memory; None where that is not allowed."""
    disk = Path(tempfile.mkdtemp(dir=PLACE))
    there = mount("-t", "tmpfs", "-o", options, "tmpfs", str(disk))
    try:
        yield disk if there else None
    finally:
        if there:
            subprocess.run(["umount", "-l", str(disk)], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    state.SECONDS = 0.0
    prepare()
    torture = Torture(options.seed)
    torture.all(options.seconds)
    os.chdir("/")
    shutil.rmtree(PLACE)
    print("| |", " | ".join(COLUMNS), "|")
    print("|---|" + "---:|" * len(COLUMNS))
    for name, row in torture.rows.items():
        print(f"| {name} |", " | ".join(str(row[column]) for column in COLUMNS), "|")
    sys.exit(any(row[column] for row in torture.rows.values() for column in COLUMNS[1:]))


if __name__ == "__main__":
    main()
