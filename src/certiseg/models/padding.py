"""Networks that take sizes of whole multiples only, for pictures of any size."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.errors import InputError
from certiseg.models.outputs import tensor_of


class Padded(nn.Module):
    """`model` on (B, C, H, W) with height and width padded to multiples of `multiple`.

    The last row and column are repeated below and on the right, and the logits there are cut off
    again, so they come back as (B, classes, H, W). What is repeated has its noise too: a network
    trained under noise sees nothing that it has not seen. Raises InputError for a model whose
    output has another size than its input.
    """

    def __init__(self, model: nn.Module, multiple: int) -> None:
        super().__init__()
        assert multiple >= 1
        self.model = model
        self.multiple = multiple

    def extra_repr(self) -> str:
        return f"multiple={self.multiple}"

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        below, right = -height % self.multiple, -width % self.multiple
        if below or right:
            x = F.pad(x, (0, right, 0, below), mode="replicate")
        logits = tensor_of(self.model(x))[0]
        if logits.shape[-2:] != x.shape[-2:]:
            raise InputError(
                f"expected logits of the size of the input {tuple(x.shape[-2:])}, got "
                f"{tuple(logits.shape[-2:])}; the model must bring them to it"
            )
        return logits[..., :height, :width]
