"""Images, figures, tables and HTML reports of results. No torch."""

from certiseg.report.overlay import overlay
from certiseg.report.panel import Tile, legend, panel
from certiseg.runfolder.comparison import Row

__all__ = ["Row", "Tile", "legend", "overlay", "panel"]
