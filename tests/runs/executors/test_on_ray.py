"""A Ray cluster of two nodes on one machine, one of them killed: the same run."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from certiseg.errors import InputError
from certiseg.runfolder.folder import Keep
from certiseg.runs.evaluate import evaluate
from certiseg.runs.executors.pool import TaskQueue
from certiseg.runs.executors.ray_pool import RayExecutor
from certiseg.runs.settings import Settings
from same_runs import content
from tiny_runs import Bands, opened, write_models

SETTINGS = Settings(num_samples=60, seed=3)
KEEP = Keep(2, certificates=True)


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_models(tmp_path, monkeypatch)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install 'certiseg\[ray\]'"):
        RayExecutor("local")


@pytest.fixture
def cluster(monkeypatch):
    """A head without processors, and two nodes with one each."""
    pytest.importorskip("ray")
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ending = signal.getsignal(signal.SIGTERM)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()
    # The head's handler, which other tests in this process would meet.
    signal.signal(signal.SIGTERM, ending)


def kill_the_node_of(cluster, pid: int) -> None:
    """With all its processes, of which the one with this number begins the actors."""
    (node,) = (
        node
        for node in cluster.worker_nodes
        if any(each.process.pid == pid for each in node.all_processes["raylet"])
    )
    cluster.remove_node(node, allow_graceful=False)


class Killing(Bands):
    """As the fourth picture is read for its task, the node that has band 1 at work is lost."""

    def __init__(self, total: int, cluster) -> None:
        super().__init__(total)
        self.reads, self.cluster = 0, cluster

    def __getitem__(self, index):
        self.reads += 1
        if self.reads == self.total + 4:
            deadline = time.monotonic() + 100
            while not Path("at_work").exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            kill_the_node_of(self.cluster, int(Path("at_work").read_text()))
        return super().__getitem__(index)


@pytest.mark.slow
def test_a_node_that_is_killed_changes_nothing(cluster, monkeypatch):
    total = 7
    evaluate(Bands(total), opened("slow"), SETTINGS, Path("here"), keep=KEEP)
    executor = RayExecutor(cluster.address)
    assert executor.size == 2
    lost, tell = [], TaskQueue.lost
    monkeypatch.setattr(
        TaskQueue, "lost", lambda self, task, reason: (lost.append(task), tell(self, task, reason))
    )
    samples = Killing(total, cluster)
    evaluate(samples, opened("slow"), SETTINGS, Path("cluster"), keep=KEEP, executor=executor)
    assert 1 in {task.number for task in lost if task is not None}
    assert content(Path("cluster")) == content(Path("here"))
    # What is left goes on to serve: an error of the model is the run's, a killer is given up.
    with pytest.raises(InputError, match=r"the roof is on fire \(tiny_run_models.py:\d+\)"):
        evaluate(
            Bands(2),
            opened("breaks"),
            SETTINGS,
            Path("fire"),
            keep=KEEP,
            executor=RayExecutor("auto"),
        )
    with pytest.raises(InputError, match=r"band 1 to be done .*3 workers"):
        evaluate(
            Bands(2),
            opened("dies"),
            SETTINGS,
            Path("dead"),
            keep=KEEP,
            executor=RayExecutor("auto"),
        )
    assert [path.name for path in Path("dead/samples").iterdir()] == ["0000-band_0.json"]
    # More threads than any node has: no room, and no waiting for ever.
    crowded = RayExecutor("auto", size=1, threads=4, patience=3)
    with pytest.raises(InputError, match="room for a worker with 4 threads"):
        evaluate(Bands(2), opened(), SETTINGS, Path("room"), keep=KEEP, executor=crowded)


@pytest.mark.slow
def test_no_cluster_is_an_error_in_one_line():
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"Ray cluster at '127\.0\.0\.1:1'") as caught:
        RayExecutor("127.0.0.1:1")
    assert "\n" not in str(caught.value)
