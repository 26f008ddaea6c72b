"""What evaluations and the paper's tables check of all samples before the first draw."""

from __future__ import annotations

import numpy as np
import pytest

from certiseg.datasets.card import Sample
from certiseg.datasets.folder import folder_card
from certiseg.errors import InputError
from certiseg.runs.experiment import check_samples


class Toy:
    """Samples of 2 x 2 pixels with one label each."""

    card = folder_card("toy", "3")

    def __init__(self, *labels: int, remarks: dict[str, dict[str, str]] | None = None) -> None:
        self._labels, self.remarks = labels, remarks or {}

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> Sample:
        labels = np.full((2, 2), self._labels[index], dtype=np.uint8)
        return Sample(str(index), np.zeros((3, 2, 2), dtype=np.float32), labels)


def notes(samples: Toy) -> list[str]:
    said: list[str] = []
    check_samples(samples, lambda sample: None, [], note=said.append)
    return said


def test_a_set_without_a_label_is_refused_and_a_sample_without_one_is_not() -> None:
    with pytest.raises(InputError, match="got ignored ones only in 2 samples"):
        notes(Toy(255, 255))
    assert notes(Toy(0, 255, 1, 2)) == []


def test_classes_without_a_label_and_remarks_on_files_are_told_once() -> None:
    found = {name: {"exif": "turned", "alpha": "clear"} for name in ("a.png", "b.png")}
    turned, clear, absent = notes(Toy(0, 2, remarks=found))
    assert (turned, clear) == (
        "a.png: turned (and 1 more)",
        "a.png: clear (and 1 more)",
    )
    assert absent.startswith("no pixel in 2 samples of toy is labelled as class 1 (1 of 3 classes)")
