"""HRNetV2 for semantic segmentation, the network of the paper, and its published checkpoints."""

from certiseg.models.hrnet.network import HRNetV2
from certiseg.models.hrnet.published import load_hrnet

__all__ = ["HRNetV2", "load_hrnet"]
