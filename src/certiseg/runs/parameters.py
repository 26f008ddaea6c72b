"""The parameters of certification, each declared once: default, range, help text, and section of
the help.

``runs.settings`` takes defaults and ranges from here, the command line its options. Nothing heavy
is imported, so that ``--help`` is fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal, get_args

Law = Literal["gaussian", "coordinates", "rotation"]
"""The noise distribution: Gaussian noise on the whole input; on the coordinates of a cloud (its
first 3 channels) only; or rotations of a cloud."""

MAIN = "Options"
NOISE, TEST, STOPPING, CLASSES = "Noise", "Method", "Early stopping", "Groups of classes"
ENGINE = "Engine"


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    kind: type on the command line, where some texts are parsed later. section: of the help. flags:
    if not --name. choices: allowed values. least: smallest value, called ``words`` in errors.
    field: name in the record that holds it, if different.
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
    "sigma": Parameter(
        0.25, float, "Noise level, in units of the input ([0, 1]); rotations: radians."
    ),
    "noise": Parameter(
        "gaussian",
        str,
        "What the noise acts on: the whole input; clouds: coordinates, rotation.",
        NOISE,
        choices=get_args(Law),
        field="law",
    ),
    "axis": Parameter(None, str, "Rotations around one axis: x, y or z; default: any axis.", NOISE),
    "tau": Parameter(0.75, float, "Probability a label must exceed, in [1/2, 1)."),
    "alpha": Parameter(1e-3, float, "Error probability per input."),
    "num_samples": Parameter(
        100,
        int,
        "Draws of noise per input.",
        flags=("--num-samples", "-n"),
        least=1,
        words="a number of samples",
    ),
    "correction": Parameter(
        "holm",
        str,
        "Correction for multiple testing over pixels or points.",
        TEST,
        choices=("holm", "bonferroni", "k-fwer", "k-fwer-single"),
    ),
    "budget": Parameter(
        None, str, "With k-fwer: K, or a share (0.1%); at most K - 1 labels may be wrong.", TEST
    ),
    "selection": Parameter(
        "pooled",
        str,
        "pooled: all draws select and test; split: the paper's two stages.",
        TEST,
        choices=("pooled", "split"),
    ),
    "selection_samples": Parameter(
        10,
        int,
        "Draws for selection, with split or --thresholds; default 10.",
        TEST,
        least=1,
        words="selection samples",
    ),
    "radius_map": Parameter(
        False, bool, "A radius for every pixel or point; evaluate reads it at --tau."
    ),
    "regions": Parameter(
        False,
        bool,
        "certify: more labels, and how many of any region hold, chosen afterwards.",
        TEST,
    ),
    "method": Parameter(
        None,
        str,
        "Another package's method: NAME, or NAME:KEY=VALUE,... with its own parameters.",
        TEST,
        field="custom",
    ),
    "min_gain": Parameter(
        None, str, "Stop once no further look is expected to add this share (0.1%).", STOPPING
    ),
    "target_coverage": Parameter(None, str, "Stop once this share (85%) is certified.", STOPPING),
    "looks": Parameter(5, int, "Maximum number of interim looks; default 5.", STOPPING),
    "spending": Parameter(
        "late", str, "How looks spend alpha: late, equal, shares (0.2,0.8), e-process.", STOPPING
    ),
    "hierarchy": Parameter(
        None, str, "Also certify groups of classes: camvid, cityscapes, ..., or a file.", CLASSES
    ),
    "thresholds": Parameter(
        None, str, "With --hierarchy: AdaptiveCertify, such as 0,0,0.25.", CLASSES
    ),
    "grid": Parameter(
        None,
        int,
        "Images: one label per square cell with sides of this many pixels.",
        TEST,
        least=1,
        words="a grid",
    ),
    "batch_size": Parameter(
        None,
        int,
        "Draws per pass; default: what fits into memory.",
        ENGINE,
        least=1,
        words="a batch size",
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
        "float32: as the model is; bfloat16, float16: under autocast.",
        ENGINE,
        choices=("float32", "bfloat16", "float16"),
    ),
    "channels_last": Parameter(False, bool, "Pass batches in this memory layout.", ENGINE),
    "compile": Parameter(False, bool, "Run the model through torch.compile.", ENGINE),
    "cuda_graphs": Parameter(
        False, bool, "With --compile, on CUDA: replay each pass as one graph.", ENGINE
    ),
    "noise_on": Parameter(
        "host",
        str,
        "Where noise is generated; the bits are the same.",
        ENGINE,
        choices=("host", "device"),
    ),
}
"""By name of the command-line parameter, in the order of the help."""

OF_STOPPING = ("min_gain", "target_coverage", "looks", "spending")
OF_ENGINE = ("precision", "channels_last", "compile", "cuda_graphs", "noise_on")
DEFAULTS = SimpleNamespace(**{p.field or name: p.default for name, p in PARAMETERS.items()})
"""By name of the fields of ``Settings``, ``Stopping`` and ``Engine``."""
