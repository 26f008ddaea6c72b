"""Provenance of a result: versions, machine, command."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

import torch

from certiseg._version import __version__

_PACKAGES = ("torch", "numpy", "scipy", "pillow", "safetensors")
_LOW_PRECISION = ("avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def environment(command: str, device: str | None, moment: str = "finished") -> dict[str, Any]:
    """Versions, machine and time as plain JSON values. command: the user's command line. moment:
    name of the time's entry."""
    machine: dict[str, Any] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }
    if device is not None and device.startswith("cuda"):
        machine["gpu"] = torch.cuda.get_device_name(torch.device(device))
    return {
        "certiseg": __version__,
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "machine": machine,
        "command": command,
        moment: datetime.now(UTC).isoformat(timespec="seconds"),
    }


def processor() -> str:
    """The processor's name, as far as the system provides it."""
    return _cpuinfo("model name") or platform.processor() or "unknown"


def low_precision() -> tuple[str, ...]:
    """The processor's instructions for int8 and bfloat16, as Linux names them; empty if unknown."""
    known = _cpuinfo("flags").split()
    return tuple(name for name in _LOW_PRECISION if name in known)


def _cpuinfo(key: str) -> str:
    """A line of Linux's description of the first processor; empty if there is none."""
    try:
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""
