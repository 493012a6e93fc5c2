"""Changes along a line of commits: where, how large, and whether they still stand."""

import math

import numpy as np
import pandas as pd
import pytest

from optbench.tracking.history import COLUMNS, Kind, history

LINE = [f"{n:040x}" for n in range(1, 31)]


def rows(values, *, exact=True, metric="steps_to_target", line=LINE, least=0.01, **more):
    """One series; a value may be a number, samples, "failed" or "skipped"."""
    made = []
    for place, value in enumerate(values):
        if value is None:
            continue
        drawn = value if isinstance(value, tuple) else ()
        status = value if isinstance(value, str) else "measured"
        number = math.nan if isinstance(value, str) else float(np.median(value))
        made.append(
            {
                "source": "asv", "machine": "here", "environment": "env", "benchmark": "b",
                "metric": metric, "optimizer": "a:Adam", "problem": "beale", "parameters": "",
                "unit": "u", "exact": exact, "least": least, "version": "1",
                "commit": line[place], "order": float(place), "value": number,
                "samples": drawn, "seeds": (), "status": status, **more,
            }
        )  # fmt: skip
    return pd.DataFrame(made, columns=list(COLUMNS))


def told(values, **more):
    return history(rows(values, **more), LINE).changes


def test_nothing_changes_where_nothing_does():
    assert told([100, 100, 100]) == ()
    # Rounding of another order of sums is no change.
    assert told([100, 100 * (1 + 1e-9), 100]) == ()


def test_an_exact_metric_names_the_very_commit():
    (change,) = told([100, 100, 130, 130])
    assert change.kind is Kind.REGRESSED
    assert change.first == change.commit == change.likely == LINE[2]
    assert change.ratio == pytest.approx(1.3)
    assert change.stands


def test_commits_that_were_not_measured_are_a_range():
    (change,) = told([100, None, None, 130])
    assert (change.first, change.commit) == (LINE[1], LINE[3])


def test_small_changes_are_said_and_are_no_regressions():
    (change,) = told([1000, 1005])
    assert change.kind is Kind.CHANGED
    (change,) = told([1000, 1005], least=0.001)
    assert change.kind is Kind.REGRESSED


def test_samples_are_compared_seed_by_seed():
    # The medians are equal; every seed but one takes a tenth longer.
    before = tuple(100.0 * 2**k for k in range(8))
    after = tuple(v * 1.1 for v in before[:4]) + before[4:5] + tuple(v * 1.1 for v in before[5:])
    (change,) = told([before, after])
    assert change.kind is Kind.REGRESSED
    assert change.ratio == pytest.approx(1.1 ** (7 / 8))


def test_what_was_mended_does_not_stand():
    worse, better = told([100, 130, 100])
    assert (worse.kind, better.kind) == (Kind.REGRESSED, Kind.IMPROVED)
    assert not worse.stands
    found = history(rows([100, 130, 100]), LINE)
    assert found.regressions == ()
    assert len(history(rows([100, 130, 120]), LINE).regressions) == 1


def test_to_fail_is_a_regression_until_it_works_again():
    (change,) = told([100, "failed"])
    assert change.kind is Kind.FAILS
    assert change.stands
    fails, works = told([100, "failed", 100])
    assert (fails.kind, works.kind) == (Kind.FAILS, Kind.WORKS)
    assert not fails.stands


def test_what_failed_from_the_first_accuses_nobody():
    assert told(["failed", "failed"]) == ()


def test_what_is_no_longer_measured_is_gone():
    (change,) = told([100, 100, "skipped", "skipped"])
    assert change.kind is Kind.GONE
    assert change.likely == LINE[2]
    assert told(["skipped", "skipped"]) == ()


@pytest.mark.parametrize("column", ["machine", "environment", "version", "parameters"])
def test_series_are_never_mixed(column):
    first = rows([100, 100])
    other = rows([None, None, 200, 200], **{column: "other"})
    assert history(pd.concat([first, other]), LINE).changes == ()


def test_commits_beside_the_line_are_kept_apart():
    aside = rows([500], line=["f" * 40])
    found = history(pd.concat([rows([100, 100]), aside]), LINE)
    assert found.changes == ()
    assert sum(found.aside.values()) == 1
    assert len(found.values) == 2


def test_of_two_measurements_of_a_commit_the_later_counts():
    again = rows([None, 100]).assign(order=99.0)
    assert history(pd.concat([rows([100, 130]), again]), LINE).changes == ()


def noisy(levels, seed=0, noise=0.02):
    rng = np.random.default_rng(seed)
    return [float(level * math.exp(rng.normal(0, noise))) for level in levels]


def test_a_timing_is_judged_by_change_points():
    values = noisy([1.0] * 12 + [1.5] * 10)
    (change,) = told(values, exact=False, metric="time_step")
    assert change.kind is Kind.REGRESSED
    assert change.likely == LINE[12]
    assert change.low < 1.5 < change.high
    assert told(noisy([1.0] * 20), exact=False) == ()


def test_a_slowdown_that_was_mended_does_not_stand():
    changes = told(noisy([1.0] * 9 + [1.5] * 9 + [1.0] * 9), exact=False)
    assert [change.kind for change in changes] == [Kind.REGRESSED, Kind.IMPROVED]
    assert not changes[0].stands


def test_a_mended_change_stays_mended_though_a_smaller_one_came():
    worse, better, small = told([100, 150, 100, 101.5])
    assert not worse.stands
    assert small.stands
    assert better.kind is Kind.IMPROVED


def test_small_steps_add_up():
    values = [100 * 1.009**n for n in range(4)]
    kinds = [change.kind for change in told(values)]
    assert kinds == [Kind.CHANGED, Kind.REGRESSED, Kind.CHANGED]
    regressed = told(values)[1]
    assert (regressed.first, regressed.commit) == (LINE[1], LINE[2])
    assert regressed.ratio == pytest.approx(1.009**2)


def test_an_improvement_that_came_and_went_after_the_baseline_does_not_stand():
    frame = rows([100, 10, 100])
    assert len(history(frame, LINE).regressions) == 1
    assert history(frame, LINE, LINE[0]).regressions == ()
    # It stands where the baseline had it.
    assert len(history(frame, LINE, LINE[1]).regressions) == 1


def test_what_was_away_and_came_back_broken_fails():
    (change,) = [c for c in told([100, "skipped", "failed"]) if c.kind is Kind.FAILS]
    assert change.stands
    # What failed and is away now has not come back.
    kinds = {c.kind for c in told([100, "failed", "skipped"])}
    assert kinds == {Kind.FAILS}


def seeded(pairs, place, **more):
    frame = rows([None] * place + [tuple(pairs.values())], **more)
    return frame.assign(seeds=[tuple(pairs)])


def test_the_same_seeds_are_paired_and_others_are_not_compared():
    before = seeded({0: 10.0, 1: 20.0, 2: 40.0}, 0)
    more = seeded({0: 10.0, 1: 20.0, 2: 40.0, 3: 900.0}, 1)
    assert history(pd.concat([before, more]), LINE).changes == ()
    others = seeded({7: 900.0, 8: 800.0, 9: 700.0}, 1)
    assert history(pd.concat([before, others]), LINE).changes == ()
    worse = seeded({1: 30.0, 2: 60.0, 5: 1.0}, 1)
    (change,) = history(pd.concat([before, worse]), LINE).changes
    assert change.ratio == pytest.approx(1.5)


def test_as_many_samples_without_seeds_are_needed():
    frame = pd.concat([rows([(10.0, 20.0)]), rows([None, (10.0, 20.0, 500.0)])])
    assert history(frame, LINE).changes == ()


def test_a_series_that_has_ended_stands_no_more():
    old = rows([100, 150])
    new = rows([None, None, 100], environment="newer")
    assert len(history(old, LINE).regressions) == 1
    assert history(pd.concat([old, new]), LINE).regressions == ()
    # What is away stands no more, what others are measured without it does.
    assert history(rows([100, 150, "skipped"]), LINE).regressions == ()
    others = rows([None, None, 100], optimizer="another")
    assert len(history(pd.concat([old, others]), LINE).regressions) == 1
    # On another machine it goes on for itself.
    elsewhere = rows([None, None, 100], machine="there")
    assert len(history(pd.concat([old, elsewhere]), LINE).regressions) == 1


def test_values_that_are_not_positive_are_kept_apart():
    found = history(rows([100, 0.0, -3.0, 100]), LINE)
    assert found.changes == ()
    assert found.aside == {"that are not positive": 2}


def test_too_short_a_series_is_counted_and_not_judged():
    found = history(rows([1.0, 2.0, 3.0], exact=False), LINE)
    assert found.changes == ()
    assert found.too_short == 1


def test_an_empty_frame_has_no_history():
    found = history(pd.DataFrame(columns=list(COLUMNS)), LINE)
    assert found.changes == ()
    assert found.frame().empty
