"""A cluster gives what this process gives; who has no certificate is not let in."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from clusters import Cluster, cluster, parcel, until

from optbench.engine import dask_connection, dask_workers, remote_work
from optbench.engine.dask_connection import ClusterError, NoScheduler
from optbench.engine.dask_workers import NoWorkers, connect
from optbench.engine.executors import execute
from optbench.engine.isolation import Limits, perform_apart
from optbench.engine.runs import Result, Status
from optbench.engine.work import perform

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")
trustme = pytest.importorskip("trustme")


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
    return tls_cluster


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
    with connect(trusted.address) as executor:
        done = dict(execute(parcels, executor))
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
    with connect(trusted.address) as executor:
        endless = parcel(optimizer="peculiar:Endless")
        waiting = executor.submit(perform_apart, endless, Limits())
        until(begun.exists, "a step")
        executor.shutdown(cancel_futures=True)
    assert waiting.cancelled()
    # Its only thread is free again, long before that step would have ended.
    with connect(trusted.address) as executor:
        (result,) = executor.submit(perform_apart, parcel(), Limits()).result(60).results
    assert result.status is Status.OK


@pytest.mark.proof
def test_its_processes_keep_their_memory(trusted: Cluster) -> None:
    """The nanny has its worker give it back at once: a step would ask for it anew."""
    curious = parcel(optimizer="peculiar:Curious", hyperparameters=(("lr", 1e-4),))
    with connect(trusted.address) as executor:
        (result,) = executor.submit(perform_apart, curious, Limits()).result(60).results
    assert result.status is Status.OK
    assert trusted.file.with_name("peculiar.py.trim").read_text() == "as it is"


@pytest.mark.proof
def test_a_worker_of_other_sources_is_refused(
    trusted: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_workers, "LOOK_S", 0.05)
    monkeypatch.setattr(dask_workers, "GRACE_S", 0.1)
    true = remote_work.source()
    monkeypatch.setattr(remote_work, "source", lambda: "0123456789abcdef")
    warned: list[str] = []
    with connect(str(trusted.file), warn=warned.append) as executor:
        waiting = executor.submit(perform_apart, parcel(), Limits())
        with pytest.raises(NoWorkers, match="all 1 Dask workers refuse: its optbench has other"):
            waiting.result(60)
    assert true in warned[0]
    assert "0123456789abcdef" in warned[0]


@pytest.mark.proof
@pytest.mark.parametrize("who", ["nobody", "strangers"])
def test_without_a_certificate_of_the_cluster_nobody_gets_in(
    tls_cluster: Cluster,
    tmp_path: Path,
    configured: Configure,
    monkeypatch: pytest.MonkeyPatch,
    who: str,
) -> None:
    monkeypatch.setattr(dask_connection, "CONNECT_S", 2.0)
    if who == "strangers":
        configured(certificates(tmp_path / "strangers"))
    with pytest.raises(NoScheduler) as raised:
        connect(tls_cluster.address)
    text = str(raised.value)
    assert text.startswith(f"no Dask scheduler at {tls_cluster.address} lets us in: ")
    assert "the certificates are those of DASK_DISTRIBUTED__COMM__TLS__CA_FILE" in text
    assert "\n" not in text


@pytest.mark.proof
def test_without_tls_nobody_gets_in_either(
    tls_cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_connection, "CONNECT_S", 2.0)
    with pytest.raises(NoScheduler, match="lets us in"):
        connect(tls_cluster.address.replace("tls://", "tcp://"))


def test_who_takes_the_connection_and_says_nothing_is_no_scheduler(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dask_connection, "CONNECT_S", 0.5)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(NoScheduler, match="lets us in: it said nothing for 1 s"),
    ):
        connect(f"tcp://127.0.0.1:{mute.getsockname()[1]}")


SCRIPT = """
from optbench.engine.dask_workers import connect
from optbench.engine.executors import execute
from optbench.engine.plan import Selection, plan
from optbench.engine.work import Parcel, Unit

if __name__ == "__main__":
    selection = Selection(optimizers=("my_module:MyAdam",), problems=("beale",), budget=20)
    runs = plan([selection]).runs
    with connect("local:1") as executor:
        print(executor.workers)
        for _, done in execute([Parcel((Unit((run,)),)) for run in runs], executor):
            print(done.results[0].status)
"""


@pytest.mark.proof
def test_a_local_cluster_knows_the_folder_and_is_silent(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "my_module.py").write_text("import torch\n\nclass MyAdam(torch.optim.Adam): ...\n")
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["1", *["ok"] * 4]
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("local:none", "local:N with N worker processes"),
        ("local:0", "local:N with N worker processes"),
        ("nothing.json", "nothing.json: no scheduler file: No such file"),
        ("127.0.0.1:8786", "127.0.0.1:8786: did you mean tcp://127.0.0.1:8786?"),
        ("list.json", "list.json: no scheduler file: TypeError"),
        ("gopher://127.0.0.1:70", "unknown address scheme 'gopher'"),
    ],
)
def test_a_cluster_that_is_none_is_told_so(workplace: Path, where: str, said: str) -> None:
    (workplace / "list.json").write_text("[1]")
    with pytest.raises(ClusterError, match=re.escape(said)):
        connect(where)


def test_a_port_where_nobody_listens_is_told_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the time is over before a refusal comes.
    monkeypatch.setattr(dask_connection, "CONNECT_S", 2.0)
    refused = r"lets us in: .*(Connection refused|Timed out).*$"
    with pytest.raises(NoScheduler, match=refused) as raised:
        connect("tcp://127.0.0.1:9")
    assert " object at " not in str(raised.value)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=re.escape("pip install 'optbench[dask]'")):
        connect("local:1")


@pytest.mark.proof
def test_a_client_of_ones_own_stays_open(
    tls_cluster: Cluster, ours: dict[str, str], configured: Configure
) -> None:
    configured(ours)
    with distributed.Client(tls_cluster.address, set_as_default=False) as client:
        with connect(client) as executor:
            (result,) = executor.submit(perform_apart, parcel(), Limits()).result(60).results
        assert result.status is Status.OK
        assert client.submit(pow, 2, 5).result() == 32
        until(lambda: client.status == "running", "the client")
