"""Does any certified point of a cloud lose its majority under attacks within the certified radius?

Clouds of the test split of solids, which no model was trained on, are certified with a bundled
model, under noise on their coordinates or random rotations. Certified points are attacked through
the smoothed model at factors of the radius, by gradient or by a search over rotations, and voted on
again with fresh draws at each attacked cloud (docs/attacks.md). One record a cloud is appended to
the file; clouds that are there already are left out, so the command can be interrupted and given
again.

    python benchmarks/attacked_clouds.py --noise rotation --out FILE.jsonl
"""

from __future__ import annotations

import audits
import certiseg as cs
from certiseg.datasets.card import Sample
from certiseg.datasets.solids import solids
from certiseg.datasets.subset import even_categories
from certiseg.models.serialization import load_bundled
from certiseg.runs.malloc import keep_freed_memory

BATCH = 8
"""Clouds of a pass: larger batches leave the processor's caches."""
MODELS = {"coordinates": "solids-gaussian", "rotation": "solids-rotation"}


def main() -> None:
    parser = audits.parser_of(__doc__.splitlines()[0], 120, [0.5, 0.9, 1.0, 4.0])
    parser.add_argument("--noise", choices=list(MODELS), required=True)
    parser.add_argument("--sigma", type=float, required=True)
    parser.add_argument("--clouds", type=int, default=100)
    options = parser.parse_args()

    keep_freed_memory()
    samples = even_categories(solids("test", normals=False), options.clouds)
    segmenter = load_bundled(MODELS[options.noise])
    noise = (
        cs.Rotation(options.sigma)
        if options.noise == "rotation"
        else cs.Gaussian(options.sigma, channels=3)
    )

    def smoothed(sample: Sample) -> cs.Smoothed:
        model = segmenter.of(sample.category)  # type: ignore[operator]
        return cs.Smoothed(model, noise, value_range=None)

    audits.run(
        parser,
        options,
        (samples[index] for index in range(len(samples))),
        smoothed,
        facts={"model": f"certiseg:{MODELS[options.noise]}", "noise": repr(noise)},
        command=f"python benchmarks/attacked_clouds.py --noise {options.noise}",
        batch_size=BATCH,
    )


if __name__ == "__main__":
    main()
