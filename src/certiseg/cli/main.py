"""The entry point: all commands."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from certiseg._version import __version__
from certiseg.cli.attack import attack
from certiseg.cli.bench import bench
from certiseg.cli.certify import certify
from certiseg.cli.demo import demo
from certiseg.cli.ending import INTERRUPTED, TRACEBACK, ended_by_signals, ending_of
from certiseg.cli.evaluate import evaluate
from certiseg.cli.examples import Exemplified
from certiseg.cli.plan import plan
from certiseg.cli.quantize import quantize
from certiseg.cli.region import region
from certiseg.cli.report import report
from certiseg.cli.reproduce import app as reproduce
from certiseg.cli.sections import Sectioned
from certiseg.cli.selftest import selftest
from certiseg.cli.sign import sign
from certiseg.cli.streams import lost_output, open_streams
from certiseg.cli.study import app as study
from certiseg.cli.train import app as train
from certiseg.cli.train import train_clouds
from certiseg.cli.verify import verify
from certiseg.errors import Hint
from certiseg.screen import remark, say

_TRACEBACK = "--traceback"


class Commands(TyperGroup):
    """The commands. plan --commit has the arguments of certify, so it is parsed as certify."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if _TRACEBACK in args:
            args = [_TRACEBACK, *(word for word in args if word != _TRACEBACK)]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        commits = any(word.partition("=")[0] == "--commit" for word in args)
        if args[0] == "plan" and commits:
            args = ["certify", *args[1:]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# For the list of commands, which truncates longer lines.
for command, words in (
    (demo, "Certify held-out samples with a bundled model."),
    (certify, "Certify images, point clouds or volumes."),
    (evaluate, "Compare non-robust, base and certified on labelled data."),
    (attack, "Attack a base model; see what its certificate keeps."),
    (report, "Show a run in one HTML file; figures and tables for a paper."),
    (verify, "Recompute labels and radius from the stored counts."),
    (region, "Bound how many labels of a chosen region hold."),
    (selftest, "Check statistics, noise and a model on this machine."),
    (sign, "Sign certificates, for verify --key."),
    (plan, "Plan: what n draws can certify; nothing is drawn."),
    (bench, "Measure speed and memory on this machine."),
    (quantize, "Make the int8 form of a model, faster on a CPU."),
):
    many = command in (certify, evaluate, attack, plan, selftest)
    app.command(short_help=words, cls=Sectioned if many else Exemplified)(command)
app.add_typer(train, name="train", short_help="Train under noise: images, or a denoiser.")
app.command(short_help="Train PointNet++ on point clouds.")(train_clouds)
app.add_typer(reproduce, name="reproduce", short_help="Make the paper's tables.")
app.add_typer(study, name="study")


def _version(asked: bool) -> None:
    if asked:
        say(f"certiseg {__version__}")
        raise typer.Exit


@app.callback()
def _certiseg(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print and exit.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option(_TRACEBACK, help="With any command: print the traceback of an error.")
    ] = False,
) -> None:
    """Certified segmentation: which pixels or points keep their label under every perturbation up
    to a stated size, and where to abstain."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Errors become one line on standard error.

    The exit code does not depend on whether standard output was read to its end.
    """
    # Read when torch is loaded. By default waiting threads spin so long that on a busy machine
    # everything takes five times as long (docs/measured.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    given = sys.argv[1:] if arguments is None else list(arguments)
    open_streams()
    try:
        with ended_by_signals(), hints_as_notes():
            code = app(args=given or ["--help"], prog_name="certiseg", standalone_mode=False)
            if lost := lost_output():
                raise lost
        if code == INTERRUPTED:
            # typer returns this code on Ctrl-C, without a message.
            raise KeyboardInterrupt
    except BaseException as error:
        ending = ending_of(error)
        if ending is None:
            raise
        if not ending.interrupted and (_TRACEBACK in given or os.environ.get(TRACEBACK)):
            for line in "".join(traceback.format_exception(error)).splitlines():
                remark(line)
        remark(f"error: {' '.join(ending.line.split())}")
        return ending.code
    return code if isinstance(code, int) else 0


@contextmanager
def hints_as_notes() -> Iterator[None]:
    """Print hints as notes on standard error; other warnings are unchanged."""
    with warnings.catch_warnings():
        shown = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
            if issubclass(category, Hint):
                remark(f"note: {message}")
            else:
                shown(message, category, *place, **more)

        warnings.showwarning = show
        yield


def main() -> NoReturn:
    """Console script."""
    sys.exit(run())


if __name__ == "__main__":
    main()
