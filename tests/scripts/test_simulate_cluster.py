"""What the model is fed with, and what is made of it."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
import simulate_cluster
from cluster_model import Load
from simulate_cluster import FIGURES, MILLION, coordination, loads, merged, modelled, pieces, read

SMALL = 1


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    """The committed ones."""
    return read(FIGURES)


@pytest.mark.parametrize("workers", [1, 100, 1024])
def test_a_nightly_is_all_there_however_it_is_cut(figures: dict[str, Any], workers: int) -> None:
    units = pieces(figures, SMALL)
    work = loads(units, workers)
    assert sum(load.runs for load in work) == figures["nightly"]["runs"]
    assert sum(load.seconds for load in work) == pytest.approx(sum(u.seconds for u in units))
    assert len(work) <= len(units)


def test_a_nightly_takes_what_the_measured_runs_say(figures: dict[str, Any]) -> None:
    units = pieces(figures, SMALL)
    expected, seconds = (sum(unit[n] for unit in figures["units"]) for n in (0, 1))
    pace = figures["on_a_processor"] * seconds / expected
    assert sum(u.seconds for u in units) == pytest.approx(pace * sum(u.expected_s for u in units))
    # Single units are off by their own share.
    assert statistics.pstdev(u.seconds / u.expected_s for u in units) > 0


def test_a_million_is_the_nightly_over_and_over(figures: dict[str, Any]) -> None:
    assert sum(u.runs for u in pieces(figures, MILLION)) == MILLION * figures["nightly"]["runs"]


def test_longer_parcels_hold_the_same_work() -> None:
    work = [Load(float(n), n) for n in range(1, 8)]
    assert merged(work, 3) == [Load(6, 6), Load(15, 15), Load(7, 7)]


def test_a_coordinator_has_a_plan_to_make_and_a_server_to_wait_for(
    figures: dict[str, Any],
) -> None:
    few, many = (coordination(figures, "sqlite", runs) for runs in (1_000, 1_000_000))
    assert many.before > few.before > figures["begin_s"]
    assert few.server == 0
    away = coordination(figures, "postgresql", 1_000)
    assert 0 < away.server < 1
    # Another machine's server is a round trip a statement further away.
    near = coordination(figures, "postgresql", 1_000, nearby=True)
    assert away.keep.parcel > near.keep.parcel
    assert away.keep.run == near.keep.run


def test_the_model_knows_the_commands_that_were_measured(figures: dict[str, Any]) -> None:
    for of_round in figures["commands"]["rounds"]:
        one, two = (modelled(figures, of_round, name) for name in ("1 worker", "2 workers"))
        assert two < one


def test_every_table_has_a_row_for_what_it_says(
    figures: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The nightly instead of a million, and a hundred workers for a thousand: seconds, no minute.
    monkeypatch.setattr(simulate_cluster, "MILLION", 1)
    monkeypatch.setattr(simulate_cluster, "WORKERS", (1, 16, 128))
    for title, lines in simulate_cluster.tables(figures):
        columns = {line.count("|") for line in lines}
        assert len(columns) == 1, title
        assert len(lines) > 2, title


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.6, "60 s"), (600, "10.0 min"), (36_000, "10.0 h")]
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert simulate_cluster.duration(seconds) == text
