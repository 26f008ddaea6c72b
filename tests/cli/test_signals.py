"""Signals that ask a process to end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from certiseg.cli import main
from certiseg.cli.ending import Ended, ended_by_signals

ENDING = [("SIGTERM", 143), ("SIGHUP", 129)]


@pytest.mark.parametrize(("name", "code"), ENDING)
def test_code_and_line(
    call: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    def killed(**_: object) -> None:
        try:
            os.kill(os.getpid(), getattr(signal, name))
        except Exception:  # as those that try again do
            pytest.fail("caught")

    monkeypatch.setattr(main, "app", killed)
    # What started the tests may ignore it, as nohup does.
    signal.signal(getattr(signal, name), signal.SIG_DFL)
    done = call("demo")
    assert (done.code, done.out) == (code, "")
    assert done.err == f"error: ended by {name}; files already written are whole\n"
    assert signal.getsignal(getattr(signal, name)) is signal.SIG_DFL


def test_what_is_ignored_stays_so() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            with pytest.raises(Ended):
                os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGHUP, before)
