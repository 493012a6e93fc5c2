"""Kill -9, at random moments, of everything that can be killed: nothing is lost, nothing twice."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from clusters import Cluster, cluster
from postgres_server import PostgresServer

import optbench
from faults.campaign import (
    PATIENCE_S,
    Campaign,
    assert_as_if_nothing_had_happened,
    begun_by,
    coordinator_killed,
    ended_within,
    one_of,
    others_killed,
    workers_of,
)

MANY = 12


def concluded(campaign: Campaign, store: str, undisturbed: str) -> None:
    """It ends well, and as if nothing had happened."""
    campaign.until_it_ends_well()
    assert_as_if_nothing_had_happened(store, undisturbed)


@pytest.mark.proof
def test_the_coordinator_and_a_worker(here: Campaign, undisturbed: str) -> None:
    """A part of the next two, for `make test`."""
    coordinator_killed(here, 2, longest=6.0)
    others_killed(here, 3, one_of(workers_of, here.seed), longest=2.0)
    concluded(here, here.store, undisturbed)


@pytest.mark.faults
def test_the_coordinator(here: Campaign, undisturbed: str) -> None:
    coordinator_killed(here, MANY)
    concluded(here, here.store, undisturbed)


@pytest.mark.faults
def test_workers(here: Campaign, undisturbed: str) -> None:
    others_killed(here, MANY, one_of(workers_of, here.seed))
    concluded(here, here.store, undisturbed)


@pytest.mark.faults
def test_the_server_of_the_store(
    tmp_path: Path, postgres: PostgresServer, undisturbed: str
) -> None:
    store = postgres.new()
    campaign = Campaign(tmp_path, store, ("--jobs", "2"), seed=7)

    def strike(process: subprocess.Popen[str]) -> bool:
        postgres.kill9()
        postgres.start()
        return True

    others_killed(campaign, 8, strike, longest=5.0)
    concluded(campaign, store, undisturbed)


@contextmanager
def two_workers(folder: Path) -> Iterator[tuple[Cluster, list[int]]]:
    """A cluster, and the numbers of the nannies that begin its two workers anew."""
    folder.mkdir()
    with cluster(folder) as made:
        yield made, [made.worker("--nanny").pid for _ in range(2)]


@pytest.mark.faults
def test_the_scheduler_of_dask(tmp_path: Path, undisturbed: str) -> None:
    campaign = Campaign(tmp_path, str(tmp_path / "results.sqlite"), (), seed=5)
    told = 0
    for start in itertools.count():
        with two_workers(tmp_path / f"dask-{start}") as (made, _):
            campaign.options = ("--dask", str(made.file))
            if campaign.kills == 6:
                concluded(campaign, campaign.store, undisturbed)
                break
            with campaign.started() as process:
                if ended_within(process, campaign.moment(12.0)):
                    campaign.again = True
                    continue
                made.scheduler.kill()
                campaign.kills += 1
                # It does not wait for one that may never come back.
                process.wait(60)
        assert process.returncode == 2 or "done in" in campaign.said[-1]
        assert "Traceback" not in campaign.said[-1]
        told += "the Dask scheduler" in campaign.said[-1]
    assert told


@pytest.mark.faults
def test_workers_of_dask(tmp_path: Path, undisturbed: str) -> None:
    store = str(tmp_path / "results.sqlite")
    with two_workers(tmp_path / "dask") as (made, nannies):
        campaign = Campaign(tmp_path, store, ("--dask", str(made.file)), seed=6)

        def theirs(process: subprocess.Popen[str]) -> list[psutil.Process]:
            return [worker for nanny in nannies for worker in begun_by(nanny)]

        others_killed(campaign, MANY, one_of(theirs, campaign.seed))
        concluded(campaign, store, undisturbed)


@pytest.mark.parametrize(
    ("backend", "count"),
    [
        pytest.param("postgresql", 1, marks=pytest.mark.proof, id="postgresql-few"),
        pytest.param("postgresql", 3, marks=pytest.mark.faults, id="postgresql-many"),
        pytest.param("sqlite", 3, marks=pytest.mark.faults, id="sqlite-many"),
    ],
)
def test_one_of_two_coordinators(
    tmp_path: Path, request: pytest.FixtureRequest, undisturbed: str, backend: str, count: int
) -> None:
    """Both fill one store; one of them dies, and the other does its share as well."""
    moments = Campaign(tmp_path, "", (), seed=count)
    while moments.kills < count:
        if backend == "sqlite":
            store = str(tmp_path / f"results-{moments.kills}.sqlite")
        else:
            store = request.getfixturevalue("postgres").new()
        campaign = Campaign(tmp_path, store, ("--jobs", "1"), seed=0)
        with campaign.started() as one, campaign.started() as other:
            if not ended_within(one, moments.moment(12.0)):
                one.kill()
                moments.kills += 1
            assert other.wait(PATIENCE_S) == 0, "the other one does all of it"
        assert_as_if_nothing_had_happened(store, undisturbed)
        # Nobody did what another had done.
        assert optbench.load(store).runs["attempts"].eq(1).all()
