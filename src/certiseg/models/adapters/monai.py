"""Networks of MONAI, 2-D and 3-D: sliding-window inference as part of the base model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Literal

from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.libraries import library
from certiseg.outputs.decide import tensor_of

Blend = Literal["constant", "gaussian"]


class SlidingWindow(nn.Module):
    """Logits (B, classes, *size) of inputs (B, channels, *size) of any size, window by window.

    What MONAI's sliding_window_inference does with these parameters: windows of roi_size that
    overlap, their logits averaged, evenly ("constant") or by a Gaussian about each middle. Smaller
    inputs are padded by zeros. The windows of all draws of a batch go through the network
    sw_batch_size at once, each on its own account in evaluation mode.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        roi_size: Sequence[int],
        overlap: float = 0.25,
        mode: Blend = "constant",
        sw_batch_size: int = 4,
    ) -> None:
        super().__init__()
        self.model = model
        self.roi_size = tuple(roi_size)
        self.overlap = overlap
        self.mode = mode
        self.sw_batch_size = sw_batch_size
        # Whose windows they are, for the fingerprint: the function is looked up in each pass.
        self.monai = version("monai")
        # In the mode of the model it wraps, so that one that still trains is noticed.
        self.training = bool(getattr(model, "training", False))

    def extra_repr(self) -> str:
        return f"roi_size={self.roi_size}, overlap={self.overlap}, mode={self.mode}"

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 2 + len(self.roi_size):
            raise InputError(
                f"expected a batch of {2 + len(self.roi_size)} axes, (B, C, *size) for windows of "
                f"{self.roi_size}, got shape {tuple(x.shape)}; a picture has 2 sides, a volume 3"
            )
        inference = library("monai.inferers", "monai").sliding_window_inference
        logits: Tensor = inference(
            x, self.roi_size, self.sw_batch_size, self._window, self.overlap, self.mode
        )
        return logits

    def _window(self, window: Tensor) -> Tensor:
        return tensor_of(self.model(window))[0]


def sliding_window(
    network: nn.Module | Callable[[Tensor], Any],
    roi_size: Sequence[int],
    *,
    overlap: float = 0.25,
    mode: Blend = "constant",
    sw_batch_size: int = 4,
) -> SlidingWindow:
    """A base model for pictures (B, C, H, W) or volumes (B, C, D, H, W), as many sides as roi_size.

    network: takes windows (b, C, *roi_size) and returns logits (b, classes, *roi_size). It is put
    into evaluation mode. Raises InputError: parameters out of range, MONAI not installed.
    """
    sides = tuple(roi_size)
    if len(sides) not in (2, 3) or not all(isinstance(s, int) and s >= 1 for s in sides):
        raise InputError(
            f"expected roi_size as 2 or 3 whole numbers, got {roi_size!r}; (96, 96, 96) is usual "
            "of volumes"
        )
    if not 0 <= overlap < 1:
        raise InputError(f"expected overlap in [0, 1), got {overlap}; 0.25 is usual")
    if mode not in ("constant", "gaussian"):
        raise InputError(f"expected mode constant or gaussian, got {mode!r}; choose one")
    if sw_batch_size < 1:
        raise InputError(f"expected sw_batch_size >= 1, got {sw_batch_size}; 4 is usual")
    library("monai.inferers", "monai")
    if isinstance(network, nn.Module):
        network.eval()
    return SlidingWindow(network, sides, overlap, mode, sw_batch_size)
