"""Does any certified pixel lose its majority under attacks within the certified radius?

Images of a split at an even stride are certified, attacked at factors of the radius through the
smoothed model, and voted on again with fresh draws at each attacked input (docs/attacks.md). One
record an image is appended to the file; images that are there already are left out, so the command
can be interrupted and given again.

    python benchmarks/attacked_certificates.py --root CAMVID --out FILE.jsonl
"""

from __future__ import annotations

from pathlib import Path

import audits
import certiseg as cs
from certiseg.attacks.audit import FACTORS
from certiseg.datasets.camvid import camvid
from certiseg.datasets.subset import subsample
from certiseg.runs.malloc import keep_freed_memory


def main() -> None:
    parser = audits.parser_of(__doc__.splitlines()[0], 100, list(FACTORS))
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", default="certiseg:camvid")
    parser.add_argument("--images", type=int, default=26)
    options = parser.parse_args()

    keep_freed_memory()
    samples = subsample(camvid(options.root, options.split), options.images)
    smooth = cs.Smoothed(cs.load_model(options.model).model, cs.Gaussian(0.25))
    audits.run(
        parser,
        options,
        (samples[index] for index in range(len(samples))),
        lambda sample: smooth,
        facts={"model": options.model},
        command="python benchmarks/attacked_certificates.py",
    )


if __name__ == "__main__":
    main()
