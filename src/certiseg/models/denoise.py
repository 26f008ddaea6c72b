"""SmallDenoiser: removes noise from images before a network that was trained without (theory
T13)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn


class SmallDenoiser(nn.Module):
    """U-Net on pixels folded 2 x 2 into channels. (B, channels, H, W) -> the same shape, any H, W.

    It predicts the image rather than the noise: at the sigmas of certificates the noise has more
    detail, and takes longer to learn. No layer has a bias or normalisation: the output scales with
    the input, so that one network serves many sigmas (Mohan et al. 2020), and training mode
    computes the same as evaluation mode.

    widths: channels at 1/2, 1/4, ... of the input. blocks: residual convolutions at each.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int] = (24, 48, 64, 96),
        blocks: Sequence[int] = (0, 1, 2, 3),
    ) -> None:
        super().__init__()
        assert len(widths) == len(blocks) >= 2
        folded = 4 * channels
        self.stem = _conv(folded, widths[0])
        self.encoder = nn.ModuleList(
            nn.Sequential(*(_Residual(width) for _ in range(count)))
            for width, count in zip(widths, blocks, strict=True)
        )
        steps = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(f, c, 2, stride=2, bias=False) for f, c in steps)
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(c, f, 2, stride=2, bias=False) for f, c in reversed(steps)
        )
        self.decoder = nn.ModuleList(_Residual(f) for f in reversed(widths[:-1]))
        self.head = _conv(widths[0], folded)

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        unit = 2 ** len(self.encoder)
        padded = F.pad(x, (0, -width % unit, 0, -height % unit), mode="replicate")
        y = self.stem(F.pixel_unshuffle(padded, 2))
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=False):
            y = blocks(y)
            skips.append(y)
            y = down(y)
        y = self.encoder[-1](y)
        for up, decode in zip(self.up, self.decoder, strict=True):
            y = decode(up(y) + skips.pop())
        # No ReLU before the head, so that all detail can pass where there is little noise.
        return F.pixel_shuffle(self.head(y), 2)[..., :height, :width]


class TrainedDenoiser(nn.Module):
    """A SmallDenoiser built from its card: denoised images (B, channels, H, W) from noisy ones."""

    kind = "denoiser"

    def __init__(self, card: dict[str, Any]) -> None:
        super().__init__()
        plan = card["architecture"]
        self.card = card
        self.channels: int = plan["channels"]
        self.network = SmallDenoiser(plan["channels"], plan["widths"], plan["blocks"])
        self.model_name = str(card.get("name", "SmallDenoiser"))

    def forward(self, x: Tensor) -> Tensor:
        restored: Tensor = self.network(x)
        return restored


class _Residual(nn.Module):
    """x + conv(relu(x))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv(F.relu(x))
        return x + change


def _conv(source: int, target: int) -> nn.Conv2d:
    return nn.Conv2d(source, target, 3, padding=1, bias=False)
