"""Help in sections: related options of a command stand together."""

from __future__ import annotations

from typing import Any

from certiseg.cli.examples import Exemplified
from certiseg.runs.parameters import CLASSES, ENGINE, NOISE, PARAMETERS, STOPPING, TEST

_OF_METHOD = {
    title: tuple(name for name, known in PARAMETERS.items() if known.section == title)
    for title in (NOISE, TEST, STOPPING, CLASSES, ENGINE)
}
SECTIONS = {
    "Data": (
        *("images", "labels", "ignore", "mask", "data", "root", "split", "limit", "skip_bad"),
        *("category", "normalise", "points", "window", "window_percentiles"),
        *("exif", "convert"),
    ),
    "Model": (
        *("denoiser", "num_classes", "names", "binary", "multi_label", "channels", "resize"),
        *("scale", "flip", "windows", "margin", "non_robust"),
    ),
    NOISE: _OF_METHOD[NOISE],
    TEST: (*_OF_METHOD[TEST], "percentile"),
    STOPPING: _OF_METHOD[STOPPING],
    "Attack": ("attack", "attack_steps", "attack_draws"),
    CLASSES: _OF_METHOD[CLASSES],
    "Commitment": ("commit", "commitment", "challenge"),
    ENGINE: _OF_METHOD[ENGINE],
    "Workers": ("workers", "threads", "ray"),
}
"""Parameters by section of the help; those that most calls need are first, under "Options"."""


class Sectioned(Exemplified):
    """A command whose help groups options by SECTIONS."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        section = {name: title for title, names in SECTIONS.items() for name in names}
        shown: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        shown |= {title: [] for title in SECTIONS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                argument = parameter.param_type_name == "argument"
                other = "Arguments" if argument else "Options"
                shown[section.get(str(parameter.name), other)].append(record)
        for title, records in shown.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
