"""Mask classification of Hugging Face (MaskFormer, Mask2Former, OneFormer) as semantic scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from certiseg.errors import InputError, first_line

KINDS = ("maskformer", "mask2former", "oneformer")
"""model_type of the configurations that are known."""

_TASK = "the task is semantic"
_WORDS = ("tokenizer.json", "vocab.json")


class SemanticScores(nn.Module):
    """Scores (B, classes, h, w) from the queries of a mask classification model.

    As ``post_process_semantic_segmentation`` of transformers: softmax over the classes without the
    null class, times the sigmoid of the masks, summed over the queries. As there, Mask2Former's
    masks are first resized to the size of the network's input (384 x 384 there); the scores of the
    others have the masks' size.
    task: token ids (1, length) of OneFormer's task, the same for every image.
    """

    def __init__(self, model: nn.Module, kind: str, task: Tensor | None = None) -> None:
        super().__init__()
        self.model = model
        self.kind = kind
        self.task: Tensor | None
        self.register_buffer("task", task)

    def extra_repr(self) -> str:
        return f"kind={self.kind}"

    def forward(self, x: Tensor) -> Tensor:
        extra: dict[str, Any] = {}
        if self.task is not None:
            extra["task_inputs"] = self.task.expand(len(x), -1)
        output = self.model(pixel_values=x, **extra)
        masks: Tensor = output.masks_queries_logits
        if self.kind == "mask2former":
            masks = F.interpolate(masks, size=x.shape[-2:], mode="bilinear", align_corners=False)
        classes = output.class_queries_logits.softmax(dim=-1)[..., :-1]
        return torch.einsum("bqc,bqhw->bchw", classes, masks.sigmoid())


def task_tokens(folder: Path, length: int) -> Tensor:
    """OneFormer's task by the folder's tokenizer, padded to length. Raises InputError."""
    from transformers import CLIPTokenizer

    try:
        # Without such a file transformers creates a tokenizer without words.
        if not any((folder / name).is_file() for name in _WORDS):
            raise OSError(f"none of {', '.join(_WORDS)}")
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
        given = tokenizer(_TASK, padding="max_length", max_length=length, truncation=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        said = first_line(error)
        raise InputError(
            f"{folder}: expected OneFormer's tokenizer beside the model, got {said[:120]}; "
            "save its processor too (OneFormerProcessor.save_pretrained)"
        ) from None
    ids = torch.tensor(given["input_ids"]) * torch.tensor(given["attention_mask"])
    return ids[None]
