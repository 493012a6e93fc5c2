"""A cluster gives what this process gives; wrong addresses, workers and certificates are named."""

from __future__ import annotations

import dataclasses
import json
import os
import pickle
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import numpy as np
import psutil
import pytest
from clusters import Cluster, cluster, parcel, until

from optbench.engine import identity
from optbench.engine.plan import NoSuchDevice
from optbench.engine.runs import Result, Status
from optbench.engine.work import perform
from optbench.problems import PROBLEMS
from optbench.runner.executors import NoDask, execute, executor
from optbench.runner.isolation import Limits, perform_apart
from optbench.runner.packing import Parcel

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
trustme = pytest.importorskip("trustme")

from optbench.runner import dask_cluster  # noqa: E402
from optbench.runner.dask_cluster import ClusterError, answer, connect, digest_of  # noqa: E402


def certificates(folder: Path) -> dict[str, str]:
    """Dask's configuration of a CA and one certificate for all, as environment variables."""
    authority = trustme.CA()
    folder.mkdir()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
    found = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(folder / "ca.pem")}
    for role in ("CLIENT", "SCHEDULER", "WORKER"):
        found[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(folder / "both.pem")
    return found


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return certificates(tmp_path_factory.mktemp("tls") / "ours")


PECULIAR = """
import os, pathlib, time, torch

class Endless(torch.optim.SGD):
    def step(self, closure=None):
        open(__file__ + ".begun", "w").close()
        time.sleep(1000)

class Curious(torch.optim.SGD):
    def step(self, closure=None):
        said = os.environ.get("MALLOC_TRIM_THRESHOLD_", "as it is")
        pathlib.Path(__file__ + ".trim").write_text(said)
        return super().step(closure)
"""


@pytest.fixture(scope="module")
def tls_cluster(
    tmp_path_factory: pytest.TempPathFactory, ours: dict[str, str]
) -> Iterator[Cluster]:
    """A worker with a nanny, behind TLS."""
    folder = tmp_path_factory.mktemp("dask")
    (folder / "peculiar.py").write_text(PECULIAR)
    with cluster(
        folder, {**ours, "PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', '')}"}, "tls"
    ) as made:
        made.worker("--nanny")
        yield made


Configure = Callable[[Mapping[str, str]], None]


@pytest.fixture
def configured() -> Iterator[Configure]:
    """Gives a function that takes variables for Dask's configuration, as a fresh process does."""
    before = json.dumps(dask.config.get("distributed.comm.tls"))

    def configure(variables: Mapping[str, str]) -> None:
        dask.config.update(dask.config.config, dask.config.collect_env(variables))

    yield configure
    dask.config.set({"distributed.comm.tls": json.loads(before)})


@pytest.fixture
def trusted(
    tls_cluster: Cluster,
    ours: dict[str, str],
    configured: Configure,
    monkeypatch: pytest.MonkeyPatch,
) -> Cluster:
    """The cluster, which lets this process in; what is importable there is so here."""
    configured(ours)
    monkeypatch.syspath_prepend(tls_cluster.file.parent)
    until(lambda: workers_at(tls_cluster.address), "a worker")
    return tls_cluster


def workers_at(address: str) -> int:
    with distributed.Client(address, set_as_default=False) as client:
        return len(client.nthreads())


def repeatable(result: Result) -> object:
    """All of a result but for its times."""
    traces = {n: (t.steps.tolist(), t.values.tolist()) for n, t in result.traces.items()}
    return repr(
        (dataclasses.replace(result, seconds=None, seconds_per_step=None, traces={}), traces)
    )


@pytest.mark.proof
def test_results_are_those_of_this_process(trusted: Cluster) -> None:
    assert trusted.address.startswith("tls://127.0.0.1:")
    parcels = [parcel(seed) for seed in range(3)]
    # A run that diverges, one that raises, and a hyperparameter that is a tuple.
    parcels.append(parcel(hyperparameters=(("betas", (0.9, 0.5)), ("lr", 1e30))))
    parcels.append(parcel(hyperparameters=(("lr", -1.0),)))
    with connect(trusted.address) as workers:
        assert workers.workers == 1
        done = dict(execute(parcels, workers))
    for each in parcels:
        here = [repeatable(result) for unit in each.units for result in perform(unit)]
        assert [repeatable(result) for result in done[each].results] == here
        environment = done[each].environment
        assert environment is not None
        assert environment.numpy == np.__version__
    assert {done[each].results[0].status for each in parcels} >= {Status.OK, Status.FAILED}


@pytest.mark.proof
def test_what_is_taken_back_is_not_computed_on(trusted: Cluster) -> None:
    begun = trusted.file.with_name("peculiar.py.begun")
    with connect(trusted.address) as workers:
        waiting = workers.submit(perform_apart, parcel(optimizer="peculiar:Endless"), Limits())
        until(begun.exists, "a step")
        workers.shutdown(cancel_futures=True)
    assert waiting.cancelled()
    # Its only thread is free again, long before that step would have ended.
    with connect(trusted.address) as workers:
        (result,) = workers.submit(perform_apart, parcel(), Limits()).result(60).results
    assert result.status is Status.OK


@pytest.mark.proof
def test_its_processes_keep_their_memory(trusted: Cluster) -> None:
    """The nanny has its worker give it back at once: a step would ask for it anew."""
    curious = parcel(optimizer="peculiar:Curious", hyperparameters=(("lr", 1e-4),))
    with connect(str(trusted.file)) as workers:
        (result,) = workers.submit(perform_apart, curious, Limits()).result(60).results
    assert result.status is Status.OK
    assert trusted.file.with_name("peculiar.py.trim").read_text() == "as it is"


@pytest.mark.proof
def test_a_worker_of_another_version_or_other_sources_is_refused(
    trusted: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    begins = rf"workers that differ from this process: {re.escape('tls://')}127\.0\.0\.1:\d+ \("
    monkeypatch.setitem(dask_cluster.VERSIONS, "torch", "1.0")
    with pytest.raises(ClusterError, match=rf"{begins}it has torch \d\S+, not 1\.0\)"):
        connect(trusted.address)
    monkeypatch.undo()
    true = dask_cluster.source()
    monkeypatch.setattr(dask_cluster, "source", lambda: "0123456789abcdef")
    with pytest.raises(ClusterError, match=rf"{begins}its source of .* {true}, not 0123456789abc"):
        connect(trusted.address)


@pytest.mark.proof
def test_a_parcel_that_a_worker_refuses_ends_the_work(
    trusted: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    (trusted.file.parent / "here_only.py").write_text(MINE.format(1))
    elsewhere = parcel(optimizer="here_only:MyAdam")
    with connect(trusted.address) as workers:
        real = dask_cluster.identity_of
        monkeypatch.setattr(
            dask_cluster,
            "identity_of",
            lambda parcel: {**real(parcel), "code of here_only:MyAdam": "another"},
        )
        with pytest.raises(
            ClusterError,
            match=r"Dask worker tls://127\S+ refuses here_only:MyAdam on .*: its code of here_only"
            r":MyAdam is torch=.* source=\w+, not another; what is finished is in the store",
        ):
            list(execute([elsewhere], workers))


@pytest.mark.proof
@pytest.mark.parametrize("who", ["without", "strangers"])
def test_without_a_certificate_of_the_cluster_there_is_no_connection(
    tls_cluster: Cluster,
    tmp_path: Path,
    configured: Configure,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 2.0)
    if who == "strangers":
        configured(certificates(tmp_path / "strangers"))
    with pytest.raises(ClusterError) as raised:
        connect(tls_cluster.address)
    text = str(raised.value)
    assert text.startswith(f"no connection to a Dask scheduler at {tls_cluster.address}: ")
    assert "certificates: DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in text
    assert "\n" not in text


def test_a_peer_that_says_nothing_is_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(ClusterError, match=r"a Dask scheduler at \S+: no answer within"),
    ):
        connect(f"tcp://127.0.0.1:{mute.getsockname()[1]}")


def test_a_port_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the time is over before a refusal comes.
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 2.0)
    with pytest.raises(ClusterError, match=r"(Connection refused|Timed out)") as raised:
        connect("tcp://127.0.0.1:9")
    assert " object at " not in str(raised.value)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("local:none", "local:N with N workers"),
        ("local:0", "local:N with N workers"),
        ("nothing.json", "nothing.json: no scheduler file: FileNotFoundError"),
        ("127.0.0.1:8786", "127.0.0.1:8786: did you mean tcp://127.0.0.1:8786?"),
        ("list.json", "list.json: no scheduler file: TypeError"),
        ("gopher://127.0.0.1:70", "unknown address scheme 'gopher'"),
    ],
)
def test_a_cluster_that_is_none_is_named(workplace: Path, where: str, said: str) -> None:
    (workplace / "list.json").write_text("[1]")
    with pytest.raises(ClusterError, match=re.escape(said)):
        connect(where)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NoDask, match=re.escape("pip install 'optbench[dask]'")):
        executor(dask="local:1")


SCRIPT = """
import optbench.runner.executors as executors
from optbench.engine.plan import Selection, plan
from optbench.engine.work import Unit
from optbench.runner.packing import Parcel

selection = Selection(optimizers=("my_module:MyAdam",), problems=("beale",), budget=20)
with executors.executor(dask="local:2") as workers:
    print(workers.workers)
    parcels = [Parcel((Unit((run,)),)) for run in plan([selection]).runs]
    for _, done in executors.execute(parcels, workers):
        print(done.results[0].status)
"""


@pytest.mark.proof
def test_a_local_cluster_knows_the_folder_and_is_silent(tmp_path: Path) -> None:
    """A script needs no guard of its main part, either."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "my_module.py").write_text("import torch\n\nclass MyAdam(torch.optim.Adam): ...\n")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["2", *["ok"] * 4]
    assert done.returncode == 0


def test_a_local_cluster_cannot_be_reached_from_outside() -> None:
    def ports() -> set[Any]:
        connections = psutil.Process().net_connections("inet")
        return {each.laddr for each in connections if each.status == psutil.CONN_LISTEN}

    before = ports()
    with connect("local:2") as workers:
        assert workers.workers == 2
        assert dask_cluster._address(workers._client).startswith("inproc://")
        for place in ports() - before:
            assert place.ip == "127.0.0.1"
            # Dask's pages, which are empty: no scheduler listens there.
            with pytest.raises(HTTPError, match="404"):
                urlopen(f"http://127.0.0.1:{place.port}/")


@pytest.mark.proof
def test_a_client_of_ones_own_stays_open(trusted: Cluster) -> None:
    with distributed.Client(trusted.address, set_as_default=False) as client:
        with connect(client) as workers:
            (result,) = workers.submit(perform_apart, parcel(), Limits()).result(60).results
        assert result.status is Status.OK
        assert client.submit(pow, 2, 5).result() == 32


MINE = "import torch\n\nclass MyAdam(torch.optim.Adam):\n    constant = {}\n"


def reason(given: Parcel, **expected: str) -> object:
    """What a worker says, whose coordinator expects this."""
    content = pickle.loads(dask_cluster._content(given, Limits()))
    return answer(pickle.dumps((*content[:2], {**content[2], **expected})))


def test_a_worker_refuses_what_would_come_out_otherwise() -> None:
    assert reason(parcel(), **{"version of rosenbrock-2d": "7"}) == (
        "its version of rosenbrock-2d is 1, not 7"
    )
    assert (
        reason(parcel(), **{"data of rosenbrock-2d (OPTBENCH_DATA)": "mnist-70k"})
        == "its data of rosenbrock-2d (OPTBENCH_DATA) is none, not mnist-70k"
    )
    assert "identity of its runs" in str(reason(parcel(), **{"identity of its runs": "0"}))
    with pytest.raises(NoSuchDevice, match="cuda:77"):
        reason(parcel(device="cuda:77"))


def test_the_identity_of_runs_is_that_of_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_its_runs(**fields: Any) -> str:
        return dask_cluster.identity_of(parcel(**fields))["identity of its runs"]

    first = of_its_runs()
    assert of_its_runs(hyperparameters=(("lr", 0.02),)) != first
    assert of_its_runs(seed=1) != first
    monkeypatch.setattr(identity, "ENGINE_VERSION", -1)
    assert of_its_runs() != first


def test_an_optimizer_of_other_code_is_refused(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(workplace)
    module = workplace / "changing_module.py"
    module.write_text(MINE.format(1))
    content = dask_cluster._content(parcel(optimizer="changing_module:MyAdam"), Limits())
    module.write_text(MINE.format(2))
    # As a process that has imported the other one.
    del sys.modules["changing_module"]
    identity._code_of.cache_clear()
    said = answer(content)
    assert str(said).startswith("its code of changing_module:MyAdam is torch=")


def test_damaged_data_are_a_refusal(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = dask_cluster._content(
        parcel(
            problem="mnist-logistic",
            problem_version=PROBLEMS["mnist-logistic"].version,
            data="mnist-10k",
        )
    )
    monkeypatch.setenv("OPTBENCH_DATA", str(workplace / "nothing"))
    said = dask_cluster._shipped()(content, dask_cluster.VERSIONS)
    assert re.match(r"DamagedData: .*nothing", str(said))


def test_a_worker_without_the_module_or_the_package_says_so() -> None:
    work_on = dask_cluster._shipped()
    content = dask_cluster._content(parcel())
    assert "No package metadata" in str(work_on(content, {"no-such-package": "1"}))
    torn = content.replace(b"adam", b"nada")
    assert "nada" in str(work_on(torn, dask_cluster.VERSIONS))


def test_the_sources_are_names_and_contents_of_all_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    seen = [digest_of(tmp_path)]
    (tmp_path / "deep" / "one.py").write_text("x = 1")
    seen.append(digest_of(tmp_path))
    (tmp_path / "deep" / "one.py").write_text("x = 2")
    seen.append(digest_of(tmp_path))
    (tmp_path / "deep" / "one.py").rename(tmp_path / "one.py")
    seen.append(digest_of(tmp_path))
    assert len(set(seen)) == 4
    assert digest_of(tmp_path) == seen[-1]
