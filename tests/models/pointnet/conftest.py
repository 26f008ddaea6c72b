"""A tiny network for the tests of this folder."""

from __future__ import annotations

import pytest
import torch

from certiseg.models.pointnet.network import PointNet2
from tiny_pointnet import TINY


@pytest.fixture
def network() -> PointNet2:
    """A tiny PointNet2 in evaluation mode, randomly initialised."""
    torch.manual_seed(0)
    return PointNet2(TINY).eval()
