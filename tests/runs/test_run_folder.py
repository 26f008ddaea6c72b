"""The folder of a run: written as it goes, whole at every moment, and nothing outside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from certiseg.certificates.certificate import Certificate
from certiseg.datasets.card import Card, Sample
from certiseg.errors import InputError
from certiseg.models.loaded import LoadedModel
from certiseg.runfolder.comparison import comparison_table
from certiseg.runfolder.folder import Keep
from certiseg.runfolder.layout import Layout, file_stem, kept_numbers
from certiseg.runfolder.manifest import read_manifest
from certiseg.runfolder.pooled import Pooled
from certiseg.runfolder.record import read_record
from certiseg.runs.evaluate import evaluate
from certiseg.runs.settings import Settings
from certiseg.sampling.sampler import Smoothed
from same_runs import of_samples

SETTINGS = Settings(num_samples=60, seed=3)
HOSTILE = ("../../escaped", "/etc/passwd", "a b</script>", "..", "ü" * 300)


class Bands:
    """Pictures of two bands, named as told; after `stop` of them the power fails."""

    card = Card("bands", ("dark", "bright"), ((0, 0, 0), (255, 255, 255)), 1, "made up", "none")

    def __init__(self, names: tuple[str, ...], stop: int | None = None) -> None:
        self.names, self.reads, self.stop = names, 0, stop

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        self.reads += 1
        # Every sample is read once to be checked, before the first draw.
        if self.stop is not None and self.reads > len(self.names) + self.stop:
            raise KeyboardInterrupt
        labels = (np.arange(12) >= 3 + index % 6)[None].repeat(8, axis=0).astype(np.uint8)
        x = labels[None].astype(np.float32)
        labels[0, 0] = 255
        return Sample(self.names[index], x, labels)


@pytest.fixture
def loaded() -> LoadedModel:
    def model(x):
        return torch.cat([0.5 - x, x - 0.5], 1)

    return LoadedModel("threshold", model, num_classes=2, channels=1)


def files_below(folder: Path) -> Iterator[str]:
    return (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_kept_sample_can_be_looked_at_without_model_and_data(tmp_path, loaded):
    samples = Bands(("one", "two"))
    evaluation = evaluate(samples, loaded, SETTINGS, tmp_path, non_robust=loaded)
    layout = Layout(tmp_path)
    manifest = json.loads(layout.manifest.read_text())
    assert manifest["kind"] == "images"
    assert manifest["classes"] == ["dark", "bright"]
    assert [s["name"] for s in manifest["samples"]] == ["one", "two"]
    smoothed = Smoothed(loaded.model, SETTINGS.noise, 2)
    for planned in manifest["samples"]:
        sample = samples[planned["number"]]
        with np.load(layout.view(planned["file"]), allow_pickle=False) as view:
            assert np.array_equal(view["x"], np.rint(255 * sample.x).astype(np.uint8))
            assert np.array_equal(view["truth"], sample.labels)
            assert np.array_equal(view["base_clean"], smoothed.predict_clean(sample.x))
            # The picture of the draw and the labels under it belong together.
            assert np.array_equal(view["base_noise"], smoothed.predict_once(sample.x, seed=3))
            noisy = smoothed.noisy(sample.x, seed=3).numpy()
            assert np.array_equal(view["noisy"], np.rint(noisy.clip(0, 1) * 255).astype(np.uint8))
            assert np.array_equal(view["non_robust"], view["base_clean"])
        certificate = Certificate.load(layout.certificate(planned["file"]))
        assert certificate.votes.trials == 60
    # What the records say pools to what the table says.
    read = read_manifest(tmp_path)
    pooled = Pooled(read)
    for planned in read.samples:
        pooled.add(read_record(layout.sample(planned.file), read, planned))
    assert comparison_table(pooled.rows()).records() == comparison_table(evaluation.rows).records()


def test_an_interrupted_run_leaves_whole_samples_and_a_manifest(tmp_path, loaded):
    with pytest.raises(KeyboardInterrupt):
        evaluate(Bands(("a", "b", "c"), stop=2), loaded, SETTINGS, tmp_path)
    layout = Layout(tmp_path)
    manifest = json.loads(layout.manifest.read_text())
    assert [s["name"] for s in manifest["samples"]] == ["a", "b", "c"]
    done = [s["name"] for s in manifest["samples"] if layout.sample(s["file"]).exists()]
    assert done == ["a", "b"]
    assert not layout.results.exists()
    with pytest.raises(InputError, match="--overwrite"):
        evaluate(Bands(("a",)), loaded, SETTINGS, tmp_path)
    evaluate(Bands(("z",)), loaded, SETTINGS, tmp_path, overwrite=True)
    assert {p.name for p in of_samples(layout.root)} == {
        "0000-z.json",
        "0000-z.npz",
        "0000-z.cert.npz",
    }


def test_no_name_leads_out_of_the_folder(tmp_path, loaded):
    out = tmp_path / "deep" / "out"
    evaluate(Bands(HOSTILE), loaded, SETTINGS, out)
    assert all(name.startswith("deep/out/") for name in files_below(tmp_path))
    assert len(of_samples(out)) == 3 * len(HOSTILE)
    planned = json.loads(Layout(out).manifest.read_text())["samples"]
    assert [s["name"] for s in planned] == list(HOSTILE)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("frame_01", "0007-frame_01"),
        ("../up", "0007-up"),
        ("a/b c", "0007-a_b_c"),
        ("..", "0007-sample"),
        ("", "0007-sample"),
        ("x" * 200, "0007-" + "x" * 80),
    ],
)
def test_file_stems(name, stem):
    assert file_stem(7, name) == stem


def test_kept_samples_are_spread_evenly():
    assert kept_numbers(100, 4) == {12, 37, 62, 87}
    assert kept_numbers(3, 20) == {0, 1, 2}
    assert kept_numbers(3, None) == {0, 1, 2}
    assert kept_numbers(3, 0) == frozenset()


@pytest.mark.parametrize(
    ("keep", "views", "certificates"),
    [(Keep(0), 0, 0), (Keep(1), 1, 1), (Keep(1, certificates=True), 1, 3), (Keep(None), 3, 3)],
)
def test_what_is_kept(tmp_path, loaded, keep, views, certificates):
    evaluate(Bands(("a", "b", "c")), loaded, SETTINGS, tmp_path, keep=keep)
    names = [p.name for p in of_samples(tmp_path)]
    assert sum(name.endswith(".json") for name in names) == 3
    assert sum(name.endswith(".cert.npz") for name in names) == certificates
    assert sum(name.endswith(".npz") for name in names) == views + certificates
