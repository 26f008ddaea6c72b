"""What figures of a set cannot say, from its labels alone."""

from __future__ import annotations

import numpy as np
import pytest

from certiseg.datasets.card import Card, customary_palette
from certiseg.datasets.folder import folder_card
from certiseg.datasets.label_counts import LabelCounts
from certiseg.errors import InputError


def counted(classes: str, *samples: list[int]) -> LabelCounts:
    counts = LabelCounts(folder_card("toy", classes))
    for labels in samples:
        counts.add(np.array([labels], dtype=np.uint8))
    return counts


def test_all_classes_labelled_in_the_whole_set_need_no_word() -> None:
    counts = counted("2", [0, 255], [1, 255])
    counts.check()
    assert counts.notes() == []
    assert counts.of_classes.tolist() == [1, 1]


def test_a_class_without_a_label() -> None:
    (note,) = counted("3", [0, 1], [1, 1]).notes()
    assert "no pixel in 2 samples of toy is labelled as class 2 (1 of 3 classes)" in note
    (note,) = counted("9", [7, 255]).notes()
    assert "class 0, class 1, class 2, class 3, class 4, ... (8 of 9 classes)" in note


def test_255_alone_beside_0() -> None:
    absent, binary = counted("2", [0, 255]).notes()
    assert "class 1" in absent
    assert "--mask binary" in binary
    assert len(counted("2", [0, 0]).notes()) == 1


def test_everything_ignored() -> None:
    with pytest.raises(InputError, match=r"got ignored ones only in 2 samples; map"):
        counted("2", [255], [255, 255]).check()


def test_two_classes_of_one_name_are_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="toy: expected each class once, got 'a' twice"):
        Card("toy", ("a", "b", "a"), customary_palette(3), 3, "", "")
    (tmp_path / "names.txt").write_text("road\ncar\nroad\n")
    with pytest.raises(InputError, match="got 'road' twice"):
        folder_card("toy", str(tmp_path / "names.txt"))
