"""Networks of MONAI, 2-D and 3-D: sliding-window inference as part of the base model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any, Literal, get_args

from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.libraries import library
from certiseg.models.windows import is_whole
from certiseg.outputs.tensors import tensor_of

Blend = Literal["constant", "gaussian"]


class SlidingWindow(nn.Module):
    """Logits (B, classes, *size) of inputs (B, channels, *size) of any size, window by window.

    MONAI's sliding_window_inference with these parameters: overlapping windows whose logits are
    averaged. Smaller inputs are padded with zeros. The windows of all draws of a batch pass
    through the network sw_batch_size at a time. With one at a time, a label depends on the windows
    that hold it alone, and certificates state a radius per window (theory T17).

    Args:
        model: takes windows (b, C, *roi_size) and returns logits (b, classes, *roi_size). It is
            put into evaluation mode.
        roi_size: two sides for images (B, C, H, W), or three for volumes (B, C, D, H, W).
        overlap: share of a window that overlaps with the next one.
        mode: even weights ("constant"), or Gaussian weights around each window's centre.
        sw_batch_size: number of windows in a pass.

    Raises:
        InputError: For parameters out of range, and if MONAI is not installed; in a pass, for
            inputs with another number of sides.
    """

    def __init__(
        self,
        model: nn.Module | Callable[[Tensor], Any],
        roi_size: Sequence[int],
        *,
        overlap: float = 0.25,
        mode: Blend = "constant",
        sw_batch_size: int = 4,
    ) -> None:
        super().__init__()
        library("monai.inferers", "monai")
        self.model = model
        self.roi_size = tuple(roi_size) if isinstance(roi_size, Sequence) else roi_size
        self.overlap = overlap
        self.mode = mode
        self.sw_batch_size = sw_batch_size
        self.check()
        if len(self.roi_size) == 3:
            self.kind = "volumes"
        # For the fingerprint: the function is looked up in each pass.
        self.monai = version("monai")
        self.eval()

    def check(self) -> None:
        """Raise InputError for parameters out of range, which may have been set since."""
        sides, overlap = self.roi_size, self.overlap
        whole = isinstance(sides, (tuple, list)) and all(is_whole(side, 1) for side in sides)
        if not whole or len(sides) not in (2, 3):
            raise InputError(
                f"expected roi_size as 2 or 3 whole numbers, got {sides!r}; (96, 96, 96) is "
                "usual of volumes"
            )
        number = isinstance(overlap, (int, float)) and not isinstance(overlap, bool)
        if not number or not 0 <= overlap < 1:
            raise InputError(f"expected overlap in [0, 1), got {overlap!r}; 0.25 is usual")
        if self.mode not in get_args(Blend):
            raise InputError(f"expected mode constant or gaussian, got {self.mode!r}; choose one")
        if not is_whole(self.sw_batch_size, 1):
            raise InputError(
                f"expected sw_batch_size as a whole number >= 1, got {self.sw_batch_size!r}; 4 is "
                "usual"
            )

    @property
    def steps(self) -> tuple[int, ...]:
        """Distance of neighbouring windows along each axis, as MONAI computes it."""
        return tuple(max(1, int(side * (1 - self.overlap))) for side in self.roi_size)

    def extra_repr(self) -> str:
        return f"roi_size={self.roi_size}, overlap={self.overlap}, mode={self.mode}"

    def forward(self, x: Tensor) -> Tensor:
        self.check()
        if x.ndim != 2 + len(self.roi_size):
            raise InputError(
                f"expected a batch of {2 + len(self.roi_size)} axes, (B, C, *size) for windows of "
                f"{self.roi_size}, got shape {tuple(x.shape)}; an image has 2 sides, a volume 3"
            )
        inference = library("monai.inferers", "monai").sliding_window_inference
        logits: Tensor = inference(
            x, self.roi_size, self.sw_batch_size, self._window, self.overlap, self.mode
        )
        return logits

    def _window(self, window: Tensor) -> Tensor:
        # A copy: through a view the model could change what later windows see.
        return tensor_of(self.model(window.clone()))[0]
