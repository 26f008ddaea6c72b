"""The log and status of a run: lines of JSON (--log-json), and status.json in the output folder."""

from __future__ import annotations

import functools
import inspect
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from certiseg.cli.ending import ending_of
from certiseg.cli.method import parameters
from certiseg.errors import InputError
from certiseg.files.atomic import atomic_write
from certiseg.files.documents import read_document
from certiseg.runs.progress import Pace, listening
from certiseg.screen import remark
from certiseg.torchrun import place_of

STATUS = "status.json"
FORMAT = "certiseg-status-1"
RUNNING, FINISHED, FAILED, INTERRUPTED = "running", "finished", "failed", "interrupted"
EVERY = 10.0
"""Shortest time between two lines of the log, and between two writes of the status, in seconds."""

LogJson = Annotated[
    Path | None,
    typer.Option(
        "--log-json", help="Append a line of JSON every 10 s: what is done, how fast, time left."
    ),
]


class RunLog:
    """Writes the progress of a run to the file ``log`` and to ``out``/status.json.

    With several ranks only the first writes; without a folder (certify --commit) there is no
    status. The status is first written when the work begins, after all checks; a call that is
    refused leaves an earlier status unchanged.
    """

    def __init__(self, out: Path | None, log: Path | None) -> None:
        place = place_of()
        not_first = place is not None and place.rank > 0
        self._status = None if not_first or out is None else out / STATUS
        self._log = None if not_first or log is None else _open_log(log)
        self._known: dict[str, Any] = {}
        self._began: str | None = None
        self._last = 0.0

    def on_progress(self, pace: Pace, known: dict[str, Any]) -> None:
        """Record an advance of the run; a ``runs.progress.Listener``."""
        self._known |= {**pace.record(), **known}
        now = time.monotonic()
        if self._began is None:
            if self._status is not None:
                _check_status(self._status)
            self._began = _now()
            self._write("start", RUNNING)
        elif now - self._last >= EVERY or "validation" in known:
            self._write("progress", RUNNING)
        else:
            return
        self._last = now

    def end(self, error: BaseException | None) -> None:
        """Record the end of the run: by this error, or with success."""
        ending = None if error is None else ending_of(error)
        if error is None:
            self._write("end", FINISHED, 0)
        elif ending is None:
            self._write("end", FAILED, 1, type(error).__name__)
        else:
            state = INTERRUPTED if ending.interrupted else FAILED
            self._write("end", state, ending.code, " ".join(ending.line.split()))

    def _write(self, event: str, state: str, code: int | None = None, message: str = "") -> None:
        facts = {"state": state, "exit_code": code, "message": message, **self._known}
        try:
            if self._log is not None:
                line = json.dumps({"time": _now(), "event": event, **facts})
                # One write, so that a signal cannot leave a partial line.
                os.write(self._log, f"{line}\n".encode())
            if self._status is not None and self._began is not None:
                about = {"format": FORMAT, "pid": os.getpid(), "host": socket.gethostname()}
                about |= {"started": self._began, "updated": _now()}
                atomic_write(self._status, (json.dumps(about | facts, indent=1) + "\n").encode())
        except OSError as error:
            # A long run continues even if its status cannot be written.
            remark(f"note: status and log are no longer written: {error}")
            self._log = self._status = None


@contextmanager
def logged_run(out: Path | None, log: Path | None) -> Iterator[None]:
    """Log the progress of the run inside, and how it ended."""
    run_log = RunLog(out, log)
    try:
        with listening(run_log.on_progress):
            yield
    except BaseException as error:
        run_log.end(error)
        raise
    run_log.end(None)


def with_run_log(command: Callable[..., None]) -> Callable[..., None]:
    """Decorator of commands with an output folder ``out``: adds --log-json and the status file."""
    options = parameters(command)

    @functools.wraps(command)
    def wrapped(*, log_json: Path | None, **given: Any) -> None:
        with logged_run(given["out"], log_json):
            command(**given)

    log = inspect.Parameter(
        "log_json", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=LogJson
    )
    options["log_json"] = log
    wrapped.__signature__ = inspect.Signature(list(options.values()))  # type: ignore[attr-defined]
    wrapped.__annotations__ = {
        parameter.name: parameter.annotation for parameter in options.values()
    }
    return wrapped


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _open_log(log: Path) -> int:
    """Open the log for appending. Raises InputError for a file that is not a log."""
    try:
        if log.is_file() and log.stat().st_size:
            with log.open("rb") as file:
                if not file.read(9).startswith(b'{"time": '):
                    raise InputError(
                        f"expected a log of certiseg or no file, got {log}; name another file"
                    )
        return os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(
            f"expected a file for --log-json, got {error.strerror} at {log}; name another"
        ) from None


def _check_status(status: Path) -> None:
    """Raise InputError if the file is not a status written by certiseg."""
    if not status.exists():
        return
    try:
        found = read_document(status)["format"]
    except (ValueError, TypeError, LookupError):
        found = None
    if found != FORMAT:
        raise InputError(
            f"expected no other {STATUS} than an earlier run's, got another file at {status}; move "
            "it away or choose another folder with -o"
        )
