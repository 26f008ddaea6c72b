"""Trees of classes, and their files. No torch."""

from certiseg.hierarchies.files import load_hierarchy, shipped_hierarchies
from certiseg.hierarchies.hierarchy import ROOT, Hierarchy

__all__ = ["ROOT", "Hierarchy", "load_hierarchy", "shipped_hierarchies"]
