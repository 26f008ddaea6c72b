"""Help in sections: of a command with fifty options, those that belong together stand together."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand

SECTIONS = {
    "Data": (
        *("images", "labels", "ignore", "data", "root", "split", "limit", "skip_bad"),
        *("category", "normalise", "points", "window", "window_percentiles"),
    ),
    "Model": ("denoiser", "num_classes", "channels", "scale", "flip", "non_robust"),
    "Noise and certificate": (
        *("sigma", "noise", "axis", "tau", "alpha", "num_samples", "correction", "budget"),
        *("selection", "n0", "radius_map", "grid", "percentile", "seed"),
        *("commit", "commitment", "challenge"),
    ),
    "Early stopping": ("min_gain", "target_coverage", "looks", "spending"),
    "Groups of classes": ("hierarchy", "thresholds"),
    "Speed": (
        *("batch_size", "device", "precision", "channels_last", "compile_model", "cuda_graphs"),
        *("noise_on", "workers", "threads", "ray"),
    ),
}
"""Parameters by the section that shows them; all others stand first, under "Options"."""


class Sectioned(TyperCommand):
    """A command whose help shows options by SECTIONS."""

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
