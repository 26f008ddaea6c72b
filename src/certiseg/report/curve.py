"""The certified-accuracy-versus-radius curve of a data set, as CSV and as a figure."""

from __future__ import annotations

from pathlib import Path

from certiseg.files import atomic_write
from certiseg.metrics.curve import RadiusCurve
from certiseg.noise import Noise
from certiseg.report.charts import curve_end, radius_label
from certiseg.report.figures import Line, Panel, curves, has_matplotlib, write_figure
from certiseg.runfolder.layout import CURVE_FILES
from certiseg.runfolder.results import curve_csv


def write_curve(
    out: Path, curve: RadiusCurve, note: str, *, noise: Noise, part: str = "pixel"
) -> None:
    """Write OUT/curve.csv and, where Matplotlib is installed, curve.png and curve.svg.

    note: what was measured, one line above the figure. part: what a label is given to.
    """
    atomic_write(out / CURVE_FILES[0], curve_csv(curve).encode())
    if not has_matplotlib():
        return
    end = curve_end(curve)
    radii = curve.radii[:end].tolist()
    lines = [
        Line(name, radii, values[:end].tolist(), style, every=max(1, end // 12), steps=True)
        for style, (name, values) in enumerate(
            (
                (f"certified, share of the labelled {part}s", curve.certified_share),
                ("certified accuracy", curve.certified_accuracy),
                ("certified mIoU", curve.certified_miou),
            )
        )
    ]
    panel = Panel(
        title="",
        lines=lines,
        x_label=radius_label(noise),
        y_label="share, IoU",
        y_range=(0.0, 1.0),
    )
    write_figure(curves([panel], note), out / "curve")
