"""PointNet++: labels for the points of a cloud, in the layout of the widely used checkpoints."""

from certiseg.models.pointnet.network import Plan, PointNet2, msg, small
from certiseg.models.pointnet.parts import PartSegmenter

__all__ = ["PartSegmenter", "Plan", "PointNet2", "msg", "small"]
