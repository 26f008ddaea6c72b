import os
import signal
import time
from pathlib import Path

import torch

from certiseg.errors import InputError


def threshold():
    def model(x):
        return torch.cat([0.5 - x, x - 0.5], 1)

    return model


class Alert:
    """The threshold, which does something before the pass that brings its draws to ``at``."""

    num_classes = 2

    def __init__(self, at, act):
        self.seen, self.at, self.act = 0, at, act

    def __call__(self, x):
        # The first pass of every process is no draw: it tells what fits.
        if os.environ.get("TINY_PARENT") != str(os.getpid()):
            self.seen += len(x)
            if self.seen > self.at:
                self.act()
        return torch.cat([0.5 - x, x - 0.5], 1)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _die_once():
    try:
        Path("died").touch(exist_ok=False)
    except FileExistsError:
        return
    _die()


def _refuse():
    raise InputError("expected a better day, got this one; try tomorrow")


def _break():
    raise RuntimeError("the roof is on fire")


def dies():
    return Alert(70, _die)


def dies_once():
    return Alert(70, _die_once)


def refuses():
    return Alert(70, _refuse)


def breaks():
    return Alert(70, _break)


def slow():
    return Alert(0, lambda: time.sleep(0.2))


def other_weights_each_time():
    return torch.nn.Conv2d(1, 2, 1)
