"""PointNet++ for part segmentation of point clouds, compatible with the widely used checkpoints."""

from certiseg.models.pointnet.network import Plan, PointNet2, msg, small
from certiseg.models.pointnet.parts import PartSegmenter

__all__ = ["PartSegmenter", "Plan", "PointNet2", "msg", "small"]
