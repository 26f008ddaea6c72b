"""A long run told from outside: lines of JSON, and a status file in its folder."""

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
"""Seconds between two lines, and between two writings of the status, at least."""

LogJson = Annotated[
    Path | None,
    typer.Option(
        "--log-json", help="Append a line of JSON every 10 s: what is done, how fast, time left."
    ),
]


class Told:
    """What a run says to ``log`` and to ``out``/status.json. Of several ranks the first speaks;
    without a folder (certify --commit) there is no status.

    The status is there once the work begins, after all checks; a call that is refused leaves an
    earlier one as it is.
    """

    def __init__(self, out: Path | None, log: Path | None) -> None:
        place = place_of()
        silent = place is not None and place.rank > 0
        self._status = None if silent or out is None else out / STATUS
        self._log = None if silent or log is None else _appended(log)
        self._known: dict[str, Any] = {}
        self._began: str | None = None
        self._last = 0.0

    def heard(self, pace: Pace, known: dict[str, Any]) -> None:
        """As a ``runs.progress.Listener``."""
        self._known |= {**pace.record(), **known}
        now = time.monotonic()
        if self._began is None:
            if self._status is not None:
                _check_ours(self._status)
            self._began = _now()
            self._say("start", RUNNING)
        elif now - self._last >= EVERY or "validation" in known:
            self._say("progress", RUNNING)
        else:
            return
        self._last = now

    def end(self, error: BaseException | None) -> None:
        """The run has ended, by this error or well."""
        ending = None if error is None else ending_of(error)
        if error is None:
            self._say("end", FINISHED, 0)
        elif ending is None:
            self._say("end", FAILED, 1, type(error).__name__)
        else:
            state = INTERRUPTED if ending.interrupted else FAILED
            self._say("end", state, ending.code, " ".join(ending.line.split()))

    def _say(self, event: str, state: str, code: int | None = None, message: str = "") -> None:
        facts = {"state": state, "exit_code": code, "message": message, **self._known}
        try:
            if self._log is not None:
                line = json.dumps({"time": _now(), "event": event, **facts})
                # At once, so that no signal leaves half a line.
                os.write(self._log, f"{line}\n".encode())
            if self._status is not None and self._began is not None:
                about = {"format": FORMAT, "pid": os.getpid(), "host": socket.gethostname()}
                about |= {"started": self._began, "updated": _now()}
                atomic_write(self._status, (json.dumps(about | facts, indent=1) + "\n").encode())
        except OSError as error:
            # A run of hours does not end because its status cannot be written.
            remark(f"note: status and log are no longer written: {error}")
            self._log = self._status = None


@contextmanager
def telling(out: Path | None, log: Path | None) -> Iterator[None]:
    """Report what happens inside, from the first draw on, and how it ended."""
    told = Told(out, log)
    try:
        with listening(told.heard):
            yield
    except BaseException as error:
        told.end(error)
        raise
    told.end(None)


def told(command: Callable[..., None]) -> Callable[..., None]:
    """The command, which writes into the folder ``out``, with --log-json and a status file."""
    own = parameters(command)

    @functools.wraps(command)
    def wrapped(*, log_json: Path | None, **given: Any) -> None:
        with telling(given["out"], log_json):
            command(**given)

    log = inspect.Parameter(
        "log_json", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=LogJson
    )
    own["log_json"] = log
    wrapped.__signature__ = inspect.Signature(list(own.values()))  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in own.values()}
    return wrapped


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _appended(log: Path) -> int:
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


def _check_ours(status: Path) -> None:
    if not status.exists():
        return
    try:
        found = read_document(status)["format"]
    except (ValueError, TypeError, LookupError):
        found = None
    if found != FORMAT:
        raise InputError(
            f"expected no {STATUS} but that of an earlier run, got another file at {status}; move "
            "it away or choose another folder with -o"
        )
