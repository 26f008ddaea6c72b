"""What a timing depends on beside the program: versions, processor, threads, who else works."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

from certiseg.runs.environment import environment


def made_with(command: str, device: torch.device) -> dict[str, Any]:
    """``runs.environment`` and what timings need besides, as plain JSON values.

    load: the mean number of busy processes over the last minute, ours among them; above the number
    of cores, others took part of the machine.
    """
    record = environment(command, str(device))
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    record["machine"] |= {
        "device": str(device),
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "numpy BLAS": _numpy_blas(),
        "memory (GiB)": _memory(),
        "load": load,
    }
    if device.type == "cuda":
        record["cuda"] = torch.version.cuda
    return record


def _numpy_blas() -> str | None:
    config: Any = np.show_config(mode="dicts")
    blas = config.get("Build Dependencies", {}).get("blas", {})
    return " ".join(blas[key] for key in ("name", "version") if blas.get(key)) or None


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, OSError, ValueError):
        return None
