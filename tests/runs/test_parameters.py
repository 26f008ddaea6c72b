"""Options are said once: the table agrees with the records that hold them."""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from certiseg.certifiers.segcertify import Correction, SegCertify
from certiseg.certifiers.sequential import Sequential
from certiseg.runs.parameters import OF_ENGINE, OF_STOPPING, PARAMETERS
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
