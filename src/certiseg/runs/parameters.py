"""The parameters of certification, each said once: default, range, help, and place in the help.

``runs.settings`` takes its defaults and ranges from here, the command line its options. Nothing
heavy is imported, so that ``--help`` is quick.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, get_args

Law = Literal["gaussian", "coordinates", "rotation"]
"""What is drawn: noise on all of the input; on the coordinates of a cloud, its first 3 channels,
any normals as given; rotations of a cloud."""

MAIN = "Options"
NOISE, TEST, STOPPING, CLASSES = "Noise", "Method", "Early stopping", "Groups of classes"
ENGINE = "Engine"


@dataclass(frozen=True)
class Parameter:
    """One parameter. kind: its type on the command line, where texts are read as numbers later.

    section: of the help. flags: as typed, where not --name. choices: the words it may be. least:
    the smallest value, under the name ``words``. field: of the record that holds it, where it has
    another name there.
    """

    default: Any
    kind: type
    help: str
    section: str = MAIN
    flags: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    least: int | None = None
    words: str = ""
    field: str = ""


PARAMETERS = {
    "sigma": Parameter(0.25, float, "Noise, in units of the input ([0, 1]); rotations: radians."),
    "noise": Parameter(
        "gaussian",
        str,
        "On all of the input; for clouds: coordinates or rotation.",
        NOISE,
        choices=get_args(Law),
        field="law",
    ),
    "axis": Parameter(None, str, "Of rotations around one axis: x, y or z; default any.", NOISE),
    "tau": Parameter(0.75, float, "Probability a label must exceed, in [1/2, 1)."),
    "alpha": Parameter(1e-3, float, "Error probability for one input."),
    "num_samples": Parameter(
        100,
        int,
        "Draws of noise an input.",
        flags=("--num-samples", "-n"),
        least=1,
        words="a number of samples",
    ),
    "correction": Parameter(
        "holm",
        str,
        "Multiple testing over the pixels or points.",
        TEST,
        choices=("holm", "bonferroni", "k-fwer", "k-fwer-single"),
    ),
    "budget": Parameter(
        None, str, "K or a share (0.1%) with k-fwer: at most K - 1 labels may be wrong.", TEST
    ),
    "selection": Parameter(
        "pooled",
        str,
        "pooled (default): all draws choose and test; split: the paper's stages.",
        TEST,
        choices=("pooled", "split"),
    ),
    "n0": Parameter(
        10,
        int,
        "Draws that choose, with split or --thresholds; default 10.",
        TEST,
        flags=("--n0",),
        least=1,
        words="selection samples",
        field="selection_samples",
    ),
    "radius_map": Parameter(
        False, bool, "A radius for every pixel or point; evaluate's table reads it at --tau."
    ),
    "min_gain": Parameter(
        None, str, "Stop early when no further look promises this share (0.1%) anew.", STOPPING
    ),
    "target_coverage": Parameter(
        None, str, "Stop early once this share (85%) is certified.", STOPPING
    ),
    "looks": Parameter(5, int, "Looks of early stopping, at most; default 5.", STOPPING),
    "spending": Parameter(
        "late", str, "Of early stopping: late, equal, shares (0.2,0.8) or e-process.", STOPPING
    ),
    "hierarchy": Parameter(
        None, str, "Certify groups of classes: camvid, cityscapes, ..., or a file.", CLASSES
    ),
    "thresholds": Parameter(
        None, str, "With --hierarchy: AdaptiveCertify, such as 0,0,0.25.", CLASSES
    ),
    "grid": Parameter(
        None,
        int,
        "Of pictures: decide on cells of so many pixels squared.",
        TEST,
        least=1,
        words="a grid",
    ),
    "batch_size": Parameter(
        None, int, "Draws a pass; default fits the memory.", ENGINE, least=1, words="a batch size"
    ),
    "seed": Parameter(
        None,
        int,
        "Replays a run; default: fresh entropy. The best of m seeds costs m alpha.",
        least=0,
        words="a seed",
    ),
    "device": Parameter(None, str, "Such as cpu, cuda; default: the model's own."),
    "precision": Parameter(
        "float32",
        str,
        "float32: as the model is; bfloat16, float16: it runs under autocast.",
        ENGINE,
        choices=("float32", "bfloat16", "float16"),
    ),
    "channels_last": Parameter(False, bool, "Give the model its batches in this layout.", ENGINE),
    "compile_model": Parameter(
        False,
        bool,
        "Run the model through torch.compile.",
        ENGINE,
        flags=("--compile",),
        field="compile",
    ),
    "cuda_graphs": Parameter(False, bool, "With --compile, on CUDA: one graph a pass.", ENGINE),
    "noise_on": Parameter(
        "host",
        str,
        "Where noise is made: the same bits on either.",
        ENGINE,
        choices=("host", "device"),
        field="noise",
    ),
}
"""By the name of the command line's parameter, in the order of the help."""

OF_STOPPING = ("min_gain", "target_coverage", "looks", "spending")
OF_ENGINE = ("precision", "channels_last", "compile_model", "cuda_graphs", "noise_on")
DEFAULTS = SimpleNamespace(**{p.field or name: p.default for name, p in PARAMETERS.items()})
"""By the names of the fields of ``Settings``, ``Stopping`` and ``Engine``."""
