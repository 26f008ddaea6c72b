"""Engine: how draws are made and passes are run. It changes the price, and what it changes in the
votes is recorded with them."""

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
            ``torch.autocast``, which makes another base model of it: the votes record it and the
            certificate says it. float16 needs a GPU.
        channels_last: hand the model its batch in this memory layout, which suits convolutions.
        compile: run the model through ``torch.compile``: 10 to 60 seconds at first, quicker passes
            after.
        cuda_graphs: with compile, replay each pass as one CUDA graph. CUDA alone.
        noise_on: "host" draws on CPU threads, on a GPU one batch ahead of the model; "device" draws
            where the model runs. Both give the same bits (theory T12), so their votes add up.

    Raises:
        InputError: values that are none of these.

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
        """Raise InputError where the device cannot do what is asked, or not to any use."""
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
        """The context that passes run in; around it an autocast of the caller's stays on."""
        if self.precision == "float32":
            kind = device.type
            return torch.autocast(
                kind, dtype=torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind)
            )
        return torch.autocast(device.type, dtype=getattr(torch, self.precision))

    def record(self) -> dict[str, str]:
        """What it changes in the model's arithmetic, beside the precision, for the votes' source.

        Empty for the defaults. Where the noise was made is not part of it: the bits are the same.
        """
        record = {}
        if self.channels_last:
            record["layout"] = "channels last"
        if self.compile:
            record["compiled"] = "torch.compile"
        return record
