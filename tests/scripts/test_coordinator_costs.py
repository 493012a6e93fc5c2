"""What is measured of a coordinator is what it does."""

from __future__ import annotations

from pathlib import Path

import coordinator_costs as costs
import numpy as np
import pytest
from coordinator_costs import Observation

from optbench.engine.plan import Selection
from optbench.store import Store


def test_a_price_is_told_from_parcels_of_several_sizes() -> None:
    generator = np.random.default_rng(0)
    observations = [
        Observation(runs, cpu + 0.003 + 2e-5 * runs + late, cpu, statements=9)
        for runs in (8, 32, 128, 512)
        for late in (*np.zeros(6), *generator.exponential(1.0, 20))
        for cpu in [0.004 + 1e-4 * runs]
    ]
    price = costs.priced(observations)
    assert price["cpu_s"] == pytest.approx({"parcel": 0.004, "run": 1e-4}, rel=1e-6)
    assert price["waits_s"] == pytest.approx({"parcel": 0.003, "run": 2e-5}, rel=1e-6)
    assert price["statements"] == pytest.approx({"parcel": 9, "run": 0}, abs=1e-6)


@pytest.mark.proof
def test_what_was_recorded_fills_stores_again(tmp_path: Path) -> None:
    selection = Selection(
        optimizers=("sgd", "adam"), problems=("quadratic",), seeds=(0, 1), budget=9
    )
    recorded = costs.record([selection], str(tmp_path / "recorded.sqlite"))
    assert set(recorded.results) == set(recorded.runs)
    assert sum(runs for _, _, runs in recorded.units) == len(recorded.runs) == 4

    urls = [str(tmp_path / f"{workers}.sqlite") for workers in costs.SIZES]
    seen, planned = costs.with_store(recorded, urls)
    for url in urls:
        with Store(url) as store:
            assert store.missing(recorded.runs) == []
    assert planned.runs == 4
    assert {name: sum(each.runs for each in of) for name, of in seen.items()} == {
        "claim": 4 * len(costs.SIZES),
        "keep": 4 * len(costs.SIZES),
        "refused": 4 * len(costs.SIZES),
    }
    assert all(each.statements > 0 and each.wall_s > 0 for of in seen.values() for each in of)
    assert {sum(each.runs for each in of) for of in costs.messages(recorded).values()} == {
        4 * len(costs.SIZES)
    }
