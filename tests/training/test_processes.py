"""Several processes train as one: shares of a batch, averaged gradients, one writer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import certiseg
from certiseg.errors import InputError
from certiseg.training.processes import Processes, processes, refuse_several
from certiseg.training.randomness import Randomness

SCRIPT = '''
"""Train a linear map for four epochs; again, stopped after two and resumed. Argument: a folder."""
import sys
from pathlib import Path
import torch
import torch.distributed as dist
from torch import nn
import certiseg.training.state as state
from certiseg.training.loop import TrainingContext, training_loop
from certiseg.training.processes import processes
from certiseg.training.settings import TrainSettings
from certiseg.training.state import StateFile
from certiseg.training.task import Figures

state.SECONDS = 0.0
folder = Path(sys.argv[1])
class Stop(Exception): pass

class Squares:
    """Nine rows, three batches an epoch."""
    check, steps_per_epoch, settings = "-", 3, TrainSettings(0.1, epochs=4)
    def __init__(self, noise, apart):
        self.noise, self.apart = noise, apart
        self.data = torch.randn(9, 4, generator=torch.Generator().manual_seed(1))
    def losses(self, forward, chance):
        for chosen in chance.batches(9, 4):
            some = self.data[chosen]
            some = some + self.noise * torch.randn(some.shape, generator=chance.noise)
            yield ((self.apart or forward)(some) ** 2).mean()
    def validate(self, average):
        return Figures(0.5, 0.5)

def run(among, kept, noise, stop=99, apart=False):
    torch.manual_seed(0)
    model = nn.Linear(4, 3)
    def report(done, epoch, loss, figures):
        if epoch > stop:
            raise Stop
    task, context = Squares(noise, apart and model), TrainingContext(among, kept)
    chosen = training_loop(model, task, report, context)
    assert (chosen is None) == (not among.first)
    return model.state_dict()

with processes("cpu") as (among, device):
    found = [run(among, None, 0.0), run(among, None, 0.5)]
    try:
        run(among, StateFile(folder, {}, resume=False, overwrite=False), 0.5, stop=2)
    except Stop:
        pass
    if among.count > 1:
        dist.barrier()
    found.append(run(among, StateFile(folder, {}, resume=True, overwrite=False), 0.5))
    everyone = among.gathered({k: v for k, v in found[1].items()})
    alone = run(among, None, 0.0, apart=True)
    if among.first:
        torch.save([*found, *everyone, alone], folder / f"{among.count}.pt")
'''


def _start(count: int, *command: object) -> subprocess.CompletedProcess[str]:
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    source = str(Path(certiseg.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *(launch if count > 1 else []), *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


THREADS = '''
"""How many threads of gloo hold what was sent: among the processes, and afterwards."""
import os, sys
from torch import nn
from certiseg.training.processes import processes

def threads():
    tasks = [f"/proc/self/task/{task}/comm" for task in os.listdir("/proc/self/task")]
    return sum("gloo_runloop" in open(task).read() for task in tasks)

with processes("cpu") as (among, device):
    joined = among.joined(nn.Linear(4, 3))
    assert among.gathered(among.rank) == [0, 1]
    within = threads()
    held = list(among.group) if len(sys.argv) > 1 else None
del joined
assert threads() <= within // 2, f"{threads()} threads after {within}"
'''


def test_shares_are_of_one_size_and_cover_the_batch() -> None:
    for count in (1, 2, 3, 4):
        for size in range(1, 9):
            shares = [Processes(rank, count).share(np.arange(size)) for rank in range(count)]
            assert len({len(share) for share in shares}) == 1
            assert set(np.concatenate(shares)) == set(range(size))
            assert sum(map(len, shares)) < size + count


def test_chance_is_shared_in_the_order_alone() -> None:
    chances = [Randomness(0, Processes(rank, 2)) for rank in range(2)]
    orders = [c.order.permutation(20).tolist() for c in chances]
    assert orders[0] == orders[1]
    assert chances[0].views.random() != chances[1].views.random()
    noises = [torch.rand(4, generator=c.noise) for c in chances]
    assert not torch.equal(*noises)


def test_one_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with processes("cpu") as (among, device):
        assert (among, device) == (Processes(), "cpu")
    refuse_several("train-clouds")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(InputError, match="one process for certiseg train-clouds, got 2"):
        refuse_several("train-clouds")
    with pytest.raises(InputError, match="expected --device cuda"), processes("cuda:1"):
        pass


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    for count in (1, 2):
        ended = _start(count, script, tmp_path)
        assert ended.returncode == 0, ended.stderr
        (tmp_path / "training-state.pt").unlink()
    one, two = (torch.load(tmp_path / f"{count}.pt", weights_only=True) for count in (1, 2))
    # Without noise the batch is all there is: the same weights but for the order of sums.
    torch.testing.assert_close(two[0], one[0], rtol=1e-4, atol=1e-5)
    # Both processes end with one set of weights, and go on from their state to the same bits.
    for name, value in two[1].items():
        assert torch.equal(value, two[2][name])
        assert torch.equal(value, two[3][name])
        assert torch.equal(value, two[4][name])
    # Negative control: without averaging the first process trains on its shares alone.
    assert not torch.allclose(two[-1]["weight"], one[0]["weight"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to read threads from")
def test_no_thread_outlives_the_group_of_objects(tmp_path: Path) -> None:
    # One that does may abort the interpreter's end (seen once in 15 runs before).
    script = tmp_path / "script.py"
    script.write_text(THREADS)
    ended = _start(2, script)
    assert ended.returncode == 0, ended.stderr
    # Negative control: a group that something holds on to keeps its threads.
    ended = _start(2, script, "held")
    assert ended.returncode != 0
    assert "threads after" in ended.stderr


@pytest.mark.slow
def test_the_command_under_torchrun(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    (tmp_path / "images").mkdir()
    for i in range(5):
        colours = np.kron(rng.integers(0, 255, (3, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(colours).save(tmp_path / "images" / f"{i}.png")
    out = tmp_path / "denoiser"
    options = ["--data", "folder", "--images", tmp_path / "images", "--sigma", 0.25]
    options += ["--val-images", tmp_path / "images", "--widths", "4,6", "--blocks", "0,1"]
    options += ["--epochs", 2, "--batch-size", 4, "-o", out]
    command = ["-m", "certiseg.cli.main", "train", "denoiser", *options]
    ended = _start(2, *command)
    assert ended.returncode == 0, ended.stderr
    assert sorted(p.name for p in out.glob("[!.]*")) == [
        "CARD.md",
        "card.json",
        "model.safetensors",
        "status.json",
    ]
    assert json.loads((out / "card.json").read_text())["training"]["processes"] == 2
    assert ended.stdout.count("written:") == 1
