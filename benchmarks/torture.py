"""Is anything lost, doubled, half, mixed, executed or hung when runs are killed, disks are full,
files are damaged and commands meet in one folder?

Tiny pictures and a model of three lines; each trial is a process of its own, which is killed, ended
or refused at a moment or with a file that --seed chooses, then asked to go on, and compared with
what a run left alone writes. Prints a table, and exits with 1 unless all its columns but the first
are zero. docs/trust.md says what they mean. Mounts need root; without it those rows say 0 tried.

    python benchmarks/torture.py --seconds 600 --seed 0
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import numpy as np
import torch
from PIL import Image

import certiseg.runs.evaluate
import certiseg.runs.reproduction.pictures as tables
import certiseg.runs.train
import certiseg.training.state as state
from certiseg.cli.main import run
from certiseg.datasets.generic import folder_pairs
from certiseg.errors import ClaimError, InputError
from certiseg.report.folder.layout import STATUS
from certiseg.runs.model import open_model
from certiseg.runs.reproduction.grid import Grid, Point
from readers import READERS
from same_runs import timeless

COLUMNS = ("tried", "lost", "doubled", "half", "mixed", "executed", "hung", "unforeseen")
MODELS = """
import torch

def by_brightness():
    def model(x):
        y = x.mean(1, keepdim=True)
        return torch.cat([0.35 - y, 0 * y, y - 0.65], 1)
    return model
"""
PATIENCE = 120.0
"""Seconds after which a process hangs."""
"""Audit events of code that a file made run."""
_RUNS = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect")
_FREE = ("training-state.pt", STATUS, "CARD.md")

Row = dict[str, int]
Act = Callable[[Path], int]
"""Writes into a folder; returns its exit code."""
