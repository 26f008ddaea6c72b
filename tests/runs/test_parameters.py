"""Options are said once: the table agrees with the records that hold them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, get_args

import typer.main

import certiseg as cs
from certiseg.certifiers.segcertify import Correction, SegCertify
from certiseg.certifiers.sequential import Sequential
from certiseg.cli.main import app
from certiseg.runs.parameters import OF_ENGINE, OF_STOPPING, PARAMETERS
from certiseg.runs.samples import open_samples
from certiseg.runs.settings import Settings, Stopping
from certiseg.sampling.engine import Engine, Place, Precision
from certiseg.votes import Selection


def test_every_option_is_a_field_with_the_same_default() -> None:
    homes = dict.fromkeys(OF_ENGINE, Engine) | dict.fromkeys(OF_STOPPING, Stopping)
    for name, known in PARAMETERS.items():
        defaults = {field.name: field.default for field in fields(homes.get(name, Settings))}
        assert defaults[known.field or name] == known.default


def test_methods_have_the_same_defaults() -> None:
    for method in (SegCertify(), Sequential()):
        for field in fields(method):
            assert getattr(method, field.name) == PARAMETERS[field.name].default


def test_choices_are_those_of_the_types() -> None:
    for name, allowed in (
        ("correction", Correction),
        ("selection", Selection),
        ("precision", Precision),
        ("noise_on", Place),
    ):
        assert PARAMETERS[name].choices == get_args(allowed)


def _names(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


def test_the_command_line_and_python_have_one_vocabulary() -> None:
    """What `certiseg evaluate` takes is called the same in Python: of the run, of the model it
    loads, or of the files it reads."""
    command = typer.main.get_command(app).commands["evaluate"]  # type: ignore[attr-defined]
    typed = {max(option.opts, key=len)[2:].replace("-", "_") for option in command.params}
    shown = {"report", "json", "log_json"}
    python = _names(cs.evaluate) | _names(cs.load_model) | _names(open_samples)
    assert typed - python == shown


def test_smoothed_has_the_names_of_the_options() -> None:
    own = {"self", "x", "key", "progress", "watch"}
    for method in (cs.Smoothed.certify, cs.Smoothed.certify_sequentially):
        assert _names(method) - own <= set(PARAMETERS)
    assert {field.name for field in fields(Engine)} == set(OF_ENGINE)
    assert {field.name for field in fields(Stopping)} == set(OF_STOPPING)
