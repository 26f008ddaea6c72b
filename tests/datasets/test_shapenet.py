"""ShapeNet part: layout, normalisation, resampling, every fault in one line with its place."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from certiseg.datasets.shapenet import FEWEST_POINTS, shapenet, shapenet_card
from certiseg.errors import InputError

ARCHIVE = "shapenetcore_partanno_segmentation_benchmark_v0_normal"
TABLE, MUG = "04379243", "03797390"


def rows(labels=(47, 48, 49), count=60, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, 6)) + 3
    points[:, 3:] /= np.linalg.norm(points[:, 3:], axis=1, keepdims=True)
    return np.column_stack([points, np.resize(labels, count)])


def write(root: Path, entry: str, table: np.ndarray) -> Path:
    path = root / f"{entry}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, table, fmt="%.6f")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    entries = [f"{TABLE}/aa", f"{MUG}/b-1", f"{TABLE}/cc"]
    for seed, entry in enumerate(entries):
        write(tmp_path, entry, rows((47, 48, 49) if TABLE in entry else (36, 37), seed=seed))
    listed(tmp_path, [f"shape_data/{entry}" for entry in entries])
    return tmp_path


def listed(root: Path, entries: object, split: str = "test") -> None:
    folder = root / "train_test_split"
    folder.mkdir(exist_ok=True)
    (folder / f"shuffled_{split}_file_list.json").write_text(json.dumps(entries))


def test_reads_the_list_in_its_order(root):
    clouds = shapenet(root, points=40)
    assert [clouds[i].name for i in range(3)] == ["Table-aa", "Mug-b-1", "Table-cc"]
    assert [clouds.category(i) for i in range(3)] == ["Table", "Mug", "Table"]
    assert clouds.skipped == ()
    assert clouds.note == ""
    sample = clouds[1]
    assert sample.category == "Mug"
    assert sample.x.shape == (6, 40)
    assert sample.x.dtype == np.float32
    assert sample.labels.dtype == np.uint8
    assert set(sample.labels) == {36, 37}
    assert np.array_equal(shapenet(root, points=40, normals=False)[1].x, sample.x[:3])


def test_normalised_before_it_is_resampled(root):
    """Mean and largest norm are those of the file, as in the benchmark, not of the chosen."""
    table = rows((36, 37), seed=1).round(6)
    whole = table[:, :3] - table[:, :3].mean(axis=0)
    whole /= np.linalg.norm(whole, axis=1).max()
    everything = shapenet(root, points=60)[1]
    order = np.argsort(everything.x[0])
    by_x = np.argsort(whole[:, 0])
    assert everything.x[:3].T[order] == pytest.approx(whole[by_x], abs=1e-6)
    assert everything.x[3:].T[order] == pytest.approx(table[by_x, 3:6], abs=1e-6)
    assert np.array_equal(everything.labels[order], table[by_x, 6])
    few = shapenet(root, points=35)[1].x[:3].T
    assert {tuple(point) for point in few} <= {tuple(point) for point in everything.x[:3].T}


@pytest.mark.parametrize("points", [1, 35, 60, 100, 150])
def test_no_point_occurs_more_than_once_more_than_another(root, points):
    cloud = shapenet(root, points=points)[0]
    occurs = np.unique(cloud.x.T, axis=0, return_counts=True)[1]
    assert cloud.x.shape == (6, points)
    assert len(occurs) == min(points, 60)
    assert occurs.max() - occurs.min() <= 1


def test_the_choice_depends_on_seed_and_name_alone(root):
    one = shapenet(root, points=35)[2]
    listed(root, [f"shape_data/{TABLE}/cc"])
    assert np.array_equal(shapenet(root, points=35)[0].x, one.x)
    assert not np.array_equal(shapenet(root, points=35, seed=1)[0].x, one.x)
    # Another name of the same points: another choice.
    (root / TABLE / "dd.txt").write_bytes((root / TABLE / "cc.txt").read_bytes())
    listed(root, [f"shape_data/{TABLE}/dd"])
    assert not np.array_equal(shapenet(root, points=35)[0].x, one.x)


def test_listed_twice_counts_once(root):
    listed(root, [f"shape_data/{TABLE}/aa", f"shape_data/{TABLE}/aa"])
    assert len(shapenet(root)) == 1


def test_card():
    """The canonical part ids, of which other code and published figures speak."""
    card = shapenet_card(6)
    assert card.num_classes == 50
    sizes = {name: len(labels) for name, labels in card.parts.items()}
    assert " ".join(f"{name} {size}" for name, size in sizes.items()) == (
        "Airplane 4 Bag 2 Cap 2 Car 4 Chair 4 Earphone 3 Guitar 3 Knife 2 Lamp 4 Laptop 2 "
        "Motorbike 6 Mug 2 Pistol 3 Rocket 3 Skateboard 3 Table 3"
    )
    assert [label for labels in card.parts.values() for label in labels] == list(range(50))
    for labels in card.parts.values():
        assert len({card.palette[label] for label in labels}) == len(labels)
    assert len(set(card.classes)) == 50


def _replaced(line: int, text: str):
    def damage(path: Path) -> None:
        lines = path.read_text().splitlines()
        lines[line - 1] = text
        path.write_text("\n".join(lines) + "\n")

    return damage


FAULTS = {
    "nan": (_replaced(7, "0 0 nan 0 0 1 47"), "line 7: expected finite numbers, got '0 0 nan"),
    "infinite": (_replaced(60, "0 -inf 0 0 0 1 47"), "line 60: expected finite numbers"),
    "infinities": (_replaced(2, "inf -inf 0 0 0 1 47"), "line 2: expected finite numbers"),
    "nan label": (_replaced(2, "0 0 0 0 0 1 nan"), "line 2: expected finite numbers"),
    "a word": (_replaced(1, "0 0 zero 0 0 1 47"), "line 1: expected finite numbers"),
    "six columns": (_replaced(4, "0 0 0 0 1 47"), "line 4: expected 7 columns.*got 6"),
    "eight columns": (_replaced(5, "0 0 0 0 0 1 47 47"), "line 5: expected 7 columns.*got 8"),
    "commas": (_replaced(5, "0,0,0,0,0,1,47"), "line 5: expected 7 columns.*got 1"),
    "other category": (_replaced(9, "0 0 0 0 0 1 46"), "line 9: .* among 47, 48, 49, got 46"),
    "half a label": (_replaced(9, "0 0 0 0 0 1 47.5"), "line 9: .*got 47.5"),
    "negative label": (_replaced(9, "0 0 0 0 0 1 -1"), "line 9: .*got -1"),
    "empty": (lambda path: path.write_text(""), "got an empty file"),
    "blank": (lambda path: path.write_text("\n \n"), "got an empty file"),
    "few points": (
        lambda path: np.savetxt(path, rows(count=FEWEST_POINTS - 1)),
        f"at least {FEWEST_POINTS} points, got {FEWEST_POINTS - 1}",
    ),
    "one place": (
        lambda path: path.write_text("1 2 3 0 0 1 47\n" * 50),
        "some extent, got 50 times the same",
    ),
    "bytes": (
        lambda path: path.write_bytes(path.read_bytes()[:100] + b"\xff\xfe"),
        "line 2: expected plain text",
    ),
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-25]), "line 60: expected 7"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_file_is_one_line_with_its_place_and_can_be_skipped(root, fault):
    damage, words = FAULTS[fault]
    path = root / TABLE / "aa.txt"
    damage(path)
    with pytest.raises(InputError, match=words) as caught:
        shapenet(root)[0]
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    clouds = shapenet(root, skip_bad=True)
    assert [clouds[i].name for i in range(len(clouds))] == ["Mug-b-1", "Table-cc"]
    assert clouds.skipped == (str(caught.value),)
    assert clouds.note == "2 of 3 clouds, others absent or damaged"


def test_empty_lines_are_no_points_but_count_as_lines(root):
    path = root / TABLE / "aa.txt"
    before = shapenet(root)[0]
    path.write_text("\n" + path.read_text() + "\n")
    assert np.array_equal(shapenet(root)[0].x, before.x)
    _replaced(4, "x")(path)
    with pytest.raises(InputError, match="line 4"):
        shapenet(root)[0]


def test_absent_files_are_counted_and_can_be_skipped(root):
    (root / TABLE / "aa.txt").unlink()
    (root / MUG / "b-1.txt").unlink()
    with pytest.raises(InputError, match="the 3 clouds of the test split, got 2 absent") as caught:
        shapenet(root)
    assert ARCHIVE in str(caught.value)
    assert f"{TABLE}/aa.txt" in str(caught.value)
    clouds = shapenet(root, skip_bad=True)
    assert len(clouds) == 1
    assert [reason.rsplit("/", 1)[1] for reason in clouds.skipped] == [
        "aa.txt: absent",
        "b-1.txt: absent",
    ]
    (root / TABLE / "cc.txt").unlink()
    with pytest.raises(InputError, match="at least one sound file of 3 listed, got none"):
        shapenet(root, skip_bad=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "damaged JSON"),
        ("{}", "JSON list of clouds, got none"),
        ("[]", "JSON list of clouds, got none"),
        ("[3]", "got 3 as entry 1"),
        (f'["shape_data/{TABLE}/aa", "shape_data/{TABLE}/../aa"]', "as entry 2"),
        ('["shape_data/00000001/aa"]', "synset of the 16 categories, got 00000001 in entry 1"),
    ],
)
def test_damaged_lists(root, text, words):
    (root / "train_test_split" / "shuffled_test_file_list.json").write_text(text)
    for skip_bad in (False, True):
        with pytest.raises(InputError, match=words):
            shapenet(root, skip_bad=skip_bad)


def test_bad_requests(root, tmp_path):
    with pytest.raises(InputError, match=r"list of the split.*No such file"):
        shapenet(root, "val")
    with pytest.raises(
        InputError, match=rf"folder of ShapeNet part.*{ARCHIVE}.zip.*Yi et al. 2016"
    ):
        shapenet(tmp_path / "nowhere")
    with pytest.raises(
        InputError, match="split of ShapeNet part among train, val, test, got 'demo'"
    ):
        shapenet(root, "demo")
    with pytest.raises(InputError, match="points of at least 1, got 0"):
        shapenet(root, points=0)
    with pytest.raises(InputError, match="seed of at least 0, got -1"):
        shapenet(root, seed=-1)


def test_real_files(data_root):
    folder = data_root / ARCHIVE
    if not folder.is_dir():
        pytest.skip(f"{ARCHIVE} not here; it is one of the folders below CERTISEG_DATA")
    clouds = shapenet(folder, "test", skip_bad=True)
    assert len(clouds) >= 2
    for index in range(len(clouds)):
        sample = clouds[index]
        assert sample.x.shape == (6, 2048)
        assert set(sample.labels) <= set(clouds.card.parts[sample.category])
        assert np.linalg.norm(sample.x[:3], axis=0).max() <= 1 + 1e-6
        assert np.linalg.norm(sample.x[3:], axis=0) == pytest.approx(np.ones(2048), abs=0.02)
