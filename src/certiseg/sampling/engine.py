"""``Engine``: how noise is generated and the model is run. Settings that can change votes are
recorded with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from certiseg.errors import InputError

Precision = Literal["float32", "bfloat16", "float16"]
Place = Literal["host", "device"]


@dataclass(frozen=True)
class Engine:
    """How a base model is run: ``Smoothed(..., engine=Engine(...))``.

    Args:
        precision: "float32" runs the model as it is; "bfloat16" and "float16" run it under
            ``torch.autocast``, which makes it another base model, as recorded in votes and
            certificate. float16 needs a GPU.
        channels_last: pass batches in channels-last memory layout, which suits convolutions.
        compile: run the model through ``torch.compile``: 10 to 60 seconds once, then faster passes.
        cuda_graphs: with compile, replay each pass as one CUDA graph. CUDA only.
        noise_on: "host" draws on CPU threads, for a GPU one batch ahead of the model; "device"
            draws on the model's device. Both give the same bits (theory T12), so votes add up.

    Raises:
        InputError: for any other value.

    Example:
        >>> Engine(precision="bfloat16").record()
        {}
        >>> Engine(compile=True).record()
        {'compiled': 'torch.compile'}
    """

    precision: Precision = "float32"
    channels_last: bool = False
    compile: bool = False
    cuda_graphs: bool = False
    noise_on: Place = "host"

    def __post_init__(self) -> None:
        for name, given, allowed in (
            ("precision", self.precision, get_args(Precision)),
            ("noise_on", self.noise_on, get_args(Place)),
        ):
            if given not in allowed:
                raise InputError(
                    f"expected {name} {', '.join(allowed[:-1])} or {allowed[-1]}, got {given!r}; "
                    "choose one"
                )
        for name in ("channels_last", "compile", "cuda_graphs"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(
                    f"expected {name} True or False, got {getattr(self, name)!r}; it is a switch"
                )
        if self.cuda_graphs and not self.compile:
            raise InputError(
                "expected compile with cuda_graphs (--compile with --cuda-graphs), got it alone; "
                "torch.compile records the graphs"
            )

    def check_device(self, device: torch.device) -> None:
        """Raise InputError if the device does not support these settings."""
        if self.cuda_graphs and device.type != "cuda":
            raise InputError(
                f"expected a CUDA device with cuda_graphs (--cuda-graphs), got {device}; leave it "
                "out"
            )
        if self.precision == "float16" and device.type == "cpu":
            raise InputError(
                "expected float32 or bfloat16 on a CPU, got float16; it is slower there than "
                "float32 and overflows sooner than bfloat16"
            )

    def autocast(self, device: torch.device) -> torch.autocast:
        """Autocast context for a pass; with float32 the caller's autocast stays in effect."""
        if self.precision == "float32":
            kind = device.type
            return torch.autocast(
                kind, dtype=torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind)
            )
        return torch.autocast(device.type, dtype=getattr(torch, self.precision))

    def record(self) -> dict[str, str]:
        """Settings besides precision that can change the model's arithmetic, for the ``Source``.

        Empty for the defaults. ``noise_on`` is left out, since both places give the same bits.
        """
        record = {}
        if self.channels_last:
            record["layout"] = "channels last"
        if self.compile:
            record["compiled"] = "torch.compile"
        return record
