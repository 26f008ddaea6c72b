"""torchrun: samples shared by rank, tables by the first; a rank that ends is told of."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from certiseg.errors import InputError
from certiseg.runfolder.folder import Keep
from certiseg.runs.evaluate import evaluate
from certiseg.runs.executors.choice import executor_for
from certiseg.runs.executors.ranks import Ranks
from certiseg.runs.experiment import Plan
from certiseg.runs.settings import Settings
from certiseg.torchrun import Place
from same_runs import content
from tiny_runs import Bands, opened, write_models

TESTS = Path(__file__).parents[2]
SCRIPT = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
from pathlib import Path
from certiseg.errors import InputError
from certiseg.runs.evaluate import evaluate
from certiseg.runfolder.folder import Keep
from certiseg.runs.settings import Settings
from certiseg.runs.executors.ranks import Ranks
from tiny_runs import Bands, opened

ranks = Ranks.of_environment()
try:
    with ranks.together(None):
        evaluation = evaluate(
            Bands(5), opened(sys.argv[1]), Settings(num_samples=int(sys.argv[3]), seed=3),
            Path(sys.argv[2]), keep=Keep(2, certificates=True), ranks=ranks, resume=True,
        )
except InputError as error:
    sys.exit(f"rank {{ranks.rank}}: {{error}}")
# In one piece: two ranks write here.
sys.stdout.write(f"{{ranks.rank}} {{len(evaluation.images)}}\\n")
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_models(tmp_path, monkeypatch)
    Path("script.py").write_text(SCRIPT)


class Second(Ranks):
    """Rank 1 of 2, that is told of a run begun by another process."""

    def __init__(self, record: dict[str, Any]) -> None:
        super().__init__(Place(1, 2, 0))
        self.record = record

    def agreed(self, plan: Any) -> Any:
        return Plan(self.record, [], resumed=True)

    def all_done(self) -> None:
        pass


def test_a_rank_with_another_model_is_refused(tmp_path: Path):
    """Its samples would be counted with the others."""
    model, settings = opened("threshold"), Settings(num_samples=60, seed=3)
    evaluate(Bands(2), model, settings, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())

    def second(record: dict[str, Any]) -> Any:
        ranks = Second(record)
        return evaluate(Bands(2), model, settings, tmp_path / "out", ranks=ranks, resume=True)

    assert second(record).images == []
    for change, word in (
        ({"model_fingerprint": "0" * 64}, "expected the model of the first rank"),
        ({"settings": {**record["settings"], "tau": 0.8}}, "expected the settings of the first"),
    ):
        with pytest.raises(InputError, match=word):
            second({**record, **change})


def test_ranks_come_from_the_environment():
    environment = {"RANK": "1", "WORLD_SIZE": "3", "LOCAL_RANK": "0"}
    ranks = Ranks.of_environment(environment)
    assert (ranks.rank, ranks.size, ranks.local) == (1, 3, 0)
    shares = [Ranks(Place(rank, 3, 0)).own(range(7)) for rank in range(3)]
    assert sorted(number for share in shares for number in share) == list(range(7))
    for alone in ({}, {"WORLD_SIZE": "1", "RANK": "0"}, {"WORLD_SIZE": "4"}):
        assert Ranks.of_environment(alone) is None
    for wrong in ({"RANK": "3"}, {"RANK": "-1"}, {"WORLD_SIZE": "two"}):
        with pytest.raises(InputError, match="RANK below WORLD_SIZE"):
            Ranks.of_environment({**environment, **wrong})


def test_executors_that_do_not_go_together():
    with pytest.raises(InputError, match=r"no --workers under torchrun"):
        executor_for(2, None, None, 2)
    with pytest.raises(InputError, match="--workers or --ray with --threads"):
        executor_for(None, 2, None, None)
    assert executor_for(None, None, None, None).size == 1
    assert executor_for(3, 1, None, None).size == 3


@pytest.mark.slow
def test_two_ranks_of_torchrun_make_one_run():
    settings = Settings(num_samples=60, seed=3)
    evaluate(Bands(5), opened(), settings, Path("here"), keep=Keep(2, certificates=True))
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *torchrun, "script.py", "threshold", "out", "60"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    # The second rank has no figures of its own to show.
    assert sorted(done.stdout.splitlines()) == ["0 5", "1 0"]
    assert content(Path("out")) == content(Path("here"))


def started(out: str, model: str, draws: int) -> list[subprocess.Popen[str]]:
    """Two ranks without torchrun, which would end one when the other ends."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, "script.py", model, out, str(draws)],
            env={**os.environ, **meeting, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]


@pytest.mark.slow
def test_a_rank_that_is_killed_ends_the_run_which_can_go_on():
    """Rank 1 has band 1, whose passes take long here."""
    first, second = started("out", "slow", 60)
    deadline = time.monotonic() + 200
    while len(list(Path("out").glob("samples/*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    second.send_signal(signal.SIGKILL)
    second.communicate(timeout=60)
    _, stderr = first.communicate(timeout=60)
    assert first.returncode == 1
    assert stderr.strip().splitlines()[-1].startswith("rank 0: expected all 2 ranks to finish")
    assert "--resume" in stderr
    done = len(list(Path("out/samples").iterdir()))
    assert 3 <= done < 5
    finished = [rank.communicate(timeout=200) for rank in started("out", "slow", 60)]
    assert [out for out, _ in finished] == ["0 5\n", "1 0\n"], finished


@pytest.mark.slow
def test_what_the_first_rank_refuses_all_refuse():
    evaluate(Bands(5), opened(), Settings(num_samples=60, seed=3), Path("out"), keep=Keep(2))
    finished = [rank.communicate(timeout=200) for rank in started("out", "threshold", 70)]
    for rank, (_, told) in enumerate(finished):
        assert told.strip().startswith(
            f"rank {rank}: expected the run at out to be resumed as it began"
        )
