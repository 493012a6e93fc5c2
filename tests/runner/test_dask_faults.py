"""What goes wrong on a cluster is said, and nobody waits for ever.

The workers here do not compute: in place of what they are given stand functions that misbehave.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clusters import Cluster, cluster, parcel, until

from optbench.engine.runs import Result, Run, Status
from optbench.runner.executors import execute
from optbench.runner.isolation import Limits, perform_apart
from optbench.runner.packing import Parcel, Performed

distributed = pytest.importorskip("distributed")

from optbench.runner import dask_cluster, executors  # noqa: E402
from optbench.runner.dask_cluster import ClusterError, DaskExecutor, connect  # noqa: E402

pytestmark = pytest.mark.proof

Task = Callable[[bytes, dict[str, str]], Any]


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One of them says that it had a GPU; a task may bring one of them down, but not both."""
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with cluster(tmp_path_factory.mktemp("dask"), allowed) as made:
        made.worker("--name", "plain", "--nanny")
        made.worker("--name", "gpu", "--nanny", "--resources", "GPU=1")
        yield made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "LOOK_S", 0.05)
    monkeypatch.setattr(dask_cluster, "WARN_S", 0.2)
    monkeypatch.setattr(executors, "LOOK_AGAIN_S", 0.05)


@pytest.fixture
def workers(two_workers: Cluster, quick: None) -> Iterator[DaskExecutor]:
    with connect(str(two_workers.file)) as made:
        until(lambda: made.look() or made.workers == 2, "two workers")
        yield made


def ask(executor: DaskExecutor, task: Task, given: Parcel | None = None) -> Result:
    executor._work_on = task
    ((_, performed),) = execute([given or parcel()], executor)
    (result,) = performed.results
    return result


(RUN,) = parcel().runs
OK = Performed((Result(RUN, Status.OK, steps=40),))


def test_a_worker_that_is_killed_costs_nothing_but_time(
    workers: DaskExecutor, tmp_path: Path
) -> None:
    mark = tmp_path / "once"

    def task(content: bytes, versions: dict[str, str]) -> Performed:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return OK

    assert ask(workers, task).status is Status.OK
    assert mark.exists()


def test_what_kills_every_worker_is_failed_and_named(workers: DaskExecutor) -> None:
    def task(content: bytes, versions: dict[str, str]) -> Performed:
        os.kill(os.getpid(), signal.SIGKILL)
        return OK

    result = ask(workers, task)
    assert result.status is Status.FAILED
    assert result.error == "the Dask workers died, each that was given it (adam on rosenbrock-2d)"


def test_what_the_cluster_cannot_do_is_said(workers: DaskExecutor) -> None:
    def task(content: bytes, versions: dict[str, str]) -> Performed:
        raise MemoryError("a text\nof two lines")

    with pytest.raises(ClusterError, match=r"lost adam on rosen\S+: MemoryError: a text\\nof two"):
        ask(workers, task)


def test_a_worker_that_is_being_closed_hands_its_parcel_on(
    workers: DaskExecutor, tmp_path: Path
) -> None:
    mark = tmp_path / "once"

    def task(content: bytes, versions: dict[str, str]) -> Performed:
        if not mark.exists():
            mark.touch()
            raise distributed.Reschedule
        return OK

    assert ask(workers, task).status is Status.OK


def test_runs_on_a_gpu_go_to_workers_that_declare_one(workers: DaskExecutor) -> None:
    def on(device: str) -> Run:
        return dataclasses.replace(RUN, device=device)

    for device, where in (("cpu", {"plain", "gpu"}), ("cuda", {"gpu"}), ("cuda:1", {"gpu"})):
        runs = {name: Performed((Result(on(device), Status.FAILED, name),))
                for name in ("plain", "gpu")}  # fmt: skip

        def task(content: bytes, versions: Any, runs: Any = runs) -> Performed:
            time.sleep(0.05)  # so that both are busy
            return runs[distributed.get_worker().name]  # type: ignore[no-any-return]

        workers._work_on = task
        parcels = [parcel(seed, device=device) for seed in range(6)]
        done = [performed.results[0] for _, performed in execute(parcels, workers)]
        assert {result.error for result in done} == where


def test_a_cluster_without_workers_and_one_that_goes_away(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned: list[str] = []
    with cluster(tmp_path) as made:
        with monkeypatch.context() as impatient, connect(made.address) as workers:
            impatient.setattr(dask_cluster, "PATIENCE_S", 0.3)
            with pytest.raises(ClusterError, match=r"scheduler at tcp://.* has no worker; given"):
                ask(workers, lambda content, versions: OK)

        def warn(line: str) -> None:
            warned.append(line)
            if len(warned) == 1:
                made.worker("--name", "late", "--no-nanny")
            else:
                made.scheduler.kill()

        with connect(made.address, warn=warn) as workers:
            assert ask(workers, lambda content, versions: OK).steps == 40
            assert warned == [
                f"the Dask scheduler at {made.address} has no worker; waiting for one"
            ]
            with pytest.raises(ClusterError, match="is gone; what is finished is in the store"):
                ask(workers, lambda content, versions: OK, parcel(device="cuda"))
            assert "begin them with --resources GPU=1" in warned[1]
            with pytest.raises(ClusterError, match="is gone"):
                workers.submit(perform_apart, parcel(), Limits())


def test_who_interrupts_leaves_nothing_on_the_cluster(
    two_workers: Cluster, quick: None, tmp_path: Path
) -> None:
    go = tmp_path / "go"

    def task(content: bytes, versions: dict[str, str]) -> Performed:
        while not go.exists():
            time.sleep(0.02)
        return OK

    with distributed.Client(two_workers.address, set_as_default=False) as observer:

        def tasks() -> int:
            return int(observer.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))

        until(lambda: tasks() == 0, "what others left")
        workers = connect(two_workers.address)
        workers._work_on = task
        parcels = [workers.submit(perform_apart, parcel(), Limits()) for _ in range(6)]
        until(lambda: tasks() == 6, "six tasks")
        workers.shutdown(wait=False, cancel_futures=True)
        assert all(each.cancelled() for each in parcels)
        until(lambda: tasks() == 0, "no task")
        go.touch()
    with pytest.raises(RuntimeError, match="was shut down"):
        workers.submit(perform_apart, parcel(), Limits())


def test_only_parcels_are_work(workers: DaskExecutor) -> None:
    with pytest.raises(TypeError, match="a cluster does parcels of runs"):
        workers.submit(print, "hello")


def test_a_scheduler_that_goes_while_workers_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(client: Any) -> None:
        raise distributed.comm.CommClosedError("Stream is closed")

    monkeypatch.setattr(dask_cluster, "_compare_workers", fail)
    with pytest.raises(ClusterError, match=r"the Dask scheduler at inproc://.* is gone"):
        connect("local:1")
