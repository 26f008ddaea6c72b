"""Damaged files of every kind that is read: a whole reading, or an error of one line, in little
time and memory."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from certiseg.errors import ClaimError, InputError
from readers import READERS, Reader

FOUND = (12, 36, 52, 118, 320, 515, 561)
"""Numbers under which some reader once ended in another error."""
MOST = 256
"""MiB that reading may take beyond what was taken before."""


@pytest.fixture(scope="module", params=READERS)
def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Reader, Path]]:
    if request.param == "ONNX":
        pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    for kinds, package in (
        (("NIfTI", "NIfTI, packed", "MetaImage", "NRRD"), "nibabel"),
        (("MetaImage", "NRRD"), "SimpleITK"),
        (("PLY",), "plyfile"),
        (("LAS", "LAZ"), "laspy"),
    ):
        if request.param in kinds:
            pytest.importorskip(package, reason=f"{package} is not installed")
    folder = tmp_path_factory.mktemp("whole")
    READERS[request.param].make(folder)
    return READERS[request.param], folder


def test_the_whole_file_is_read(reader: tuple[Reader, Path]) -> None:
    """Negative control: what is refused below is refused for its damage."""
    kind, folder = reader
    kind.read(folder / kind.name)


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")
@settings(max_examples=25)
@given(number=st.integers(0, 2**32))
@example(number=FOUND[0])
@example(number=FOUND[1])
@example(number=FOUND[2])
@example(number=FOUND[3])
@example(number=FOUND[4])
@example(number=FOUND[5])
@example(number=FOUND[6])
@pytest.mark.slow
def test_damaged(reader: tuple[Reader, Path], number: int) -> None:
    kind, folder = reader
    before = _peak()
    refused = ""
    try:
        kind.try_damaged(folder, number)
    except (InputError, ClaimError) as error:
        refused = str(error)
    assert "\n" not in refused
    assert _peak() - before < MOST


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_damage_is_the_same_for_the_same_number() -> None:
    kind = READERS["PNG"]
    made = {kind.damage(b"content" * 9, Random(number)) for number in range(50)}
    again = {kind.damage(b"content" * 9, Random(number)) for number in range(50)}
    assert made == again
    assert len(made) > 40
