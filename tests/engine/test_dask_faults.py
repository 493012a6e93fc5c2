"""What goes wrong on a cluster is said, and nobody waits for ever; nothing of it is unpickled.

The workers here do not compute: in place of what they are given stand functions that misbehave.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from clusters import Cluster, cluster, parcel, until

from optbench.engine import dask_workers
from optbench.engine.dask_workers import DaskExecutor, NoWorkers, SchedulerGone, connect
from optbench.engine.executors import Performed
from optbench.engine.isolation import Limits, perform_apart
from optbench.engine.remote_work import DONE
from optbench.engine.runs import Result, Status
from optbench.engine.wire import encode

distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.proof

Task = Callable[..., bytes]


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
    monkeypatch.setattr(dask_workers, "LOOK_S", 0.05)
    monkeypatch.setattr(dask_workers, "GRACE_S", 0.3)


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def workers(two_workers: Cluster, quick: None, warned: list[str]) -> Iterator[DaskExecutor]:
    with connect(str(two_workers.file), warn=warned.append) as made:
        until(lambda: made.workers == 2, "two workers")
        yield made


def ask(executor: DaskExecutor, task: Task, **fields: Any) -> Performed:
    executor._work_on = task
    given = executor.submit(perform_apart, parcel(**fields), Limits()).result(60)
    assert isinstance(given, Performed)
    return given


def error_of(performed: Performed) -> str:
    (result,) = performed.results
    assert result.status is Status.FAILED
    assert result.error is not None
    return result.error


def answer_of(result: Result) -> bytes:
    """As a worker gives it, but for the computing."""
    return DONE + encode(Performed((result,)), Performed)


(RUN,) = parcel().runs
ANSWER = answer_of(Result(RUN, Status.OK, steps=40))


def evil(mark: Path, what: str) -> Task:
    """A task whose answer, unpickled, writes down in which process."""
    act = f"open({str(mark)!r}, 'a').write(str(__import__('os').getpid()) + '\\n')"

    def task(content: bytes, versions: Any) -> Any:
        class Evil:
            def __reduce__(self) -> Any:
                return eval, (act,)

        if what == "raised":
            raise RuntimeError(Evil())
        return Evil() if what == "returned" else [b"done", Evil()]

    return task


def ran_here(mark: Path) -> bool:
    return mark.exists() and str(os.getpid()) in mark.read_text().split()


@pytest.mark.parametrize("what", ["returned", "nested", "raised"])
def test_nothing_that_a_worker_sends_is_unpickled(
    workers: DaskExecutor, tmp_path: Path, what: str
) -> None:
    said = error_of(ask(workers, evil(tmp_path / "mark", what)))
    assert said.endswith("3 times (adam on rosenbrock-2d)")
    assert not ran_here(tmp_path / "mark")
    # Nor has it done any harm to the connection.
    assert ask(workers, lambda content, versions: ANSWER).results[0].steps == 40


@pytest.mark.parametrize("what", ["returned", "raised"])
def test_the_same_answers_do_act_on_a_client_without_protection(
    two_workers: Cluster, tmp_path: Path, what: str
) -> None:
    with distributed.Client(two_workers.address, set_as_default=False) as client:
        future = client.submit(evil(tmp_path / "mark", what), b"", {}, pure=False)
        with contextlib.suppress(BaseException):
            future.result()
    assert ran_here(tmp_path / "mark")


def test_nor_what_the_scheduler_sends(
    workers: DaskExecutor, two_workers: Cluster, tmp_path: Path
) -> None:
    """It is a real one here, which is told to send a pickle to our client."""
    mark, client = str(tmp_path / "mark"), workers._client.id
    workers._work_on = lambda content, versions: time.sleep(5)
    waiting = workers.submit(perform_apart, parcel(), Limits())

    def send(dask_scheduler: Any) -> None:
        from distributed.protocol.serialize import ToPickle

        class Evil:
            def __reduce__(self) -> Any:
                return open, (mark, "w")

        dask_scheduler.client_comms[client].send({"op": "key-in-memory", "key": ToPickle(Evil())})

    with distributed.Client(two_workers.address, set_as_default=False) as other:
        other.run_on_scheduler(send)
    with pytest.raises(SchedulerGone):
        waiting.result(20)
    assert not Path(mark).exists()


def test_a_worker_that_is_killed_costs_nothing_but_time(
    workers: DaskExecutor, tmp_path: Path
) -> None:
    mark = tmp_path / "once"

    def task(content: bytes, versions: Any) -> bytes:
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return ANSWER

    assert ask(workers, task).results[0].status is Status.OK
    assert mark.exists()


def test_what_kills_every_worker_is_failed_and_named(workers: DaskExecutor) -> None:
    def task(content: bytes, versions: Any) -> bytes:
        os.kill(os.getpid(), signal.SIGKILL)
        return b""

    said = error_of(ask(workers, task))
    assert said == "the Dask workers died, each that was given it (adam on rosenbrock-2d)"


def test_an_answer_that_is_none_fails_its_runs(workers: DaskExecutor) -> None:
    said = error_of(ask(workers, lambda content, versions: DONE + b"nonsense"))
    assert "no message of this optbench" in said
    assert said.endswith("3 times (adam on rosenbrock-2d)")


def test_workers_of_another_version_are_refused(
    workers: DaskExecutor, warned: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workers._versions["torch"] = "1.0"
    parcels = [workers.submit(perform_apart, parcel(), Limits()) for _ in range(3)]
    found = re.escape(version("torch"))
    for each in parcels:
        with pytest.raises(
            NoWorkers, match=f"all 2 Dask workers refuse: it has torch {found}, not 1.0; given up"
        ):
            each.result(60)
    # Two workers, one reason: one line.
    (line,) = warned
    assert re.fullmatch(rf"the Dask worker tcp://127\.0\.0\.1:\d+ gets no work: .*{found}.*", line)


def test_what_one_worker_refuses_another_does(workers: DaskExecutor, warned: list[str]) -> None:
    def task(content: bytes, versions: Any) -> bytes:
        worker = distributed.get_worker()
        if worker.name == "plain":
            return b"refused\n" + json.dumps({"worker": worker.address, "reason": "no"}).encode()
        return ANSWER

    workers._work_on = task
    parcels = [workers.submit(perform_apart, parcel(), Limits()) for _ in range(4)]
    assert [each.result(60).results[0].steps for each in parcels] == [40] * 4
    assert len(warned) == 1
    assert workers.workers == 1


def test_runs_on_a_gpu_go_to_workers_that_declare_one(workers: DaskExecutor) -> None:
    for device, where in (("cpu", {"plain", "gpu"}), ("cuda", {"gpu"}), ("cuda:1", {"gpu"})):
        run = dataclasses.replace(RUN, device=device)
        answers = {name: answer_of(Result(run, Status.FAILED, name)) for name in ("plain", "gpu")}

        def task(content: bytes, versions: Any, answers: Any = answers) -> bytes:
            time.sleep(0.05)  # so that both are busy
            return answers[distributed.get_worker().name]

        workers._work_on = task
        parcels = [workers.submit(perform_apart, parcel(device=device), Limits()) for _ in range(6)]
        assert {error_of(each.result(60)) for each in parcels} == where


def test_a_cluster_without_workers_and_one_that_goes_away(tmp_path: Path, quick: None) -> None:
    warned: list[str] = []
    with cluster(tmp_path) as made:
        impatient = connect(made.address, patience_s=0.3)
        with (
            impatient,
            pytest.raises(NoWorkers, match=r"scheduler at tcp://.* has no worker; given"),
        ):
            impatient.submit(perform_apart, parcel(), Limits()).result(60)
        with connect(made.address, warn=warned.append) as executor:
            executor._work_on = lambda content, versions: ANSWER
            waiting = executor.submit(perform_apart, parcel(), Limits())
            until(lambda: warned, "a warning")
            assert warned == [
                f"the Dask scheduler at {made.address} has no worker; waiting for one"
            ]
            made.worker("--name", "late", "--no-nanny")
            assert waiting.result(60).results[0].steps == 40
            on_gpu = executor.submit(perform_apart, parcel(device="cuda"), Limits())
            until(lambda: len(warned) > 1, "another warning")
            assert "begin them with --resources GPU=1" in warned[1]
            made.scheduler.kill()
            begun = time.monotonic()
            with pytest.raises(SchedulerGone, match="what is finished is in the store"):
                on_gpu.result(60)
            with pytest.raises(SchedulerGone):
                executor.submit(perform_apart, parcel(), Limits()).result(60)
        assert time.monotonic() - begun < 10


def test_who_interrupts_leaves_nothing_on_the_cluster(
    two_workers: Cluster, quick: None, tmp_path: Path
) -> None:
    go = tmp_path / "go"

    def task(content: bytes, versions: Any) -> bytes:
        while not go.exists():
            time.sleep(0.02)
        return ANSWER

    with distributed.Client(two_workers.address, set_as_default=False) as observer:

        def tasks() -> int:
            return int(observer.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)))

        until(lambda: tasks() == 0, "what others left")
        executor = connect(two_workers.address)
        executor._work_on = task
        parcels = [executor.submit(perform_apart, parcel(), Limits()) for _ in range(6)]
        until(lambda: tasks() == 6, "six tasks")
        begun = time.monotonic()
        executor.shutdown(wait=False, cancel_futures=True)
        assert time.monotonic() - begun < 10
        assert all(each.cancelled() for each in parcels)
        until(lambda: tasks() == 0, "no task")
        go.touch()
    with pytest.raises(RuntimeError, match="was shut down"):
        executor.submit(perform_apart, parcel(), Limits())


def test_only_parcels_are_work(workers: DaskExecutor) -> None:
    with pytest.raises(TypeError, match="a cluster does parcels of runs"):
        workers.submit(print, "hello")
