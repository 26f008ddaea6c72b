"""Models that compute with NumPy arrays: scikit-learn, TensorFlow Lite, Keras, JAX, ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from certiseg.errors import InputError


class NumpyModel(nn.Module):
    """A function of NumPy arrays as a base model.

    The fingerprint covers what Python sees of the function: code, numbers, arrays, attributes.
    Opaque objects of other libraries (an interpreter, a session) are listed in certificates as not
    covered; keep the digest of their file in the function or model as a string, which is covered.

    Args:
        function: takes a float32 array (B, C, H, W), or (B, H, W, C), of any other spatial axes
            too, and returns logits or probabilities with as many axes, the classes where the
            channels were; or integer labels (B, H, W). It may return anything that
            ``numpy.asarray`` reads. Images go through it on the CPU.
        channels_last: the function takes channels and returns classes on the last axis.
        num_classes: number of classes, for a function that returns labels.

    Raises:
        InputError: In a pass, for outputs that are not arrays of numbers.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> def scores(x):
        ...     return np.stack([1 - x[..., 0], x[..., 0]], axis=-1)
        >>> model = NumpyModel(scores, channels_last=True)
        >>> tuple(model(torch.zeros(1, 3, 4, 5)).shape)
        (1, 2, 4, 5)
    """

    def __init__(
        self,
        function: Callable[[NDArray[np.float32]], Any],
        *,
        channels_last: bool = False,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        self.function = function
        self.channels_last = channels_last
        if num_classes is not None:
            self.num_classes = num_classes
        self.eval()

    def extra_repr(self) -> str:
        return f"channels_last={self.channels_last}"

    def forward(self, x: Tensor) -> Tensor:
        given = x.detach().to("cpu", torch.float32).numpy()
        if self.channels_last:
            given = np.moveaxis(given, 1, -1)
        output = self.function(np.ascontiguousarray(given))
        if isinstance(output, (tuple, list, Mapping)):
            raise InputError(
                f"expected one array of the function, got {type(output).__name__} of "
                f"{len(output)}; choose one: lambda x: function(x)[0]"
            )
        # A copy: interpreters reuse the memory of their outputs.
        array = np.array(output)
        if array.dtype.kind == "f":
            array = array.astype(np.float64 if array.itemsize > 4 else np.float32)
            if self.channels_last and array.ndim == x.ndim:
                array = np.moveaxis(array, -1, 1)
        elif array.dtype.kind in "iu" and array.ndim == x.ndim - 1:
            array = array.astype(np.int64)
        else:
            raise InputError(
                "expected floating-point scores, or integer labels without an axis of classes, got "
                f"{array.dtype} of shape {array.shape}; turn quantised scores back into numbers, "
                "(q - zero_point) * scale, and masks into integers"
            )
        return torch.from_numpy(np.ascontiguousarray(array)).to(x.device)
