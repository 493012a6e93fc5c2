"""asv's results: what is well formed is read, everything else is named and left."""

import json
import math

import pytest

from optbench.tracking.asv_results import NoResults, read_asv_results

COMMIT = "a" * 40
COLUMNS = ["result", "params", "version", "started_at", "duration", "stats_ci_99_a",
           "stats_ci_99_b", "stats_q_25", "stats_q_75", "number", "repeat", "samples"]  # fmt: skip


def content(results, commit=COMMIT, machine="here", env="virtualenv-py3.11", **more):
    return {
        "commit_hash": commit,
        "env_name": env,
        "date": 1700000000000,
        "params": {"machine": machine},
        "result_columns": COLUMNS,
        "results": results,
        "version": 2,
        **more,
    }


def written(folder, made, machine="here", name="aaaaaaaa-env.json"):
    (folder / machine).mkdir(parents=True, exist_ok=True)
    text = made if isinstance(made, str) else json.dumps(made)
    (folder / machine / name).write_text(text, "utf-8")
    (folder / "benchmarks.json").write_text(json.dumps(DECLARED))
    return folder


TRACKED = {
    "optimizers.Convergence.track_steps_to_target": [
        [120.0, None, math.nan],
        [["'a:Adam'"], ["'beale'", "'l1'", "'saddle'"]],
        "v1",
        1,
        2,
        *(None,) * 6,
        [[120.0, 121.0], None, None],
    ]
}

DECLARED = {
    "optimizers.Convergence.track_steps_to_target": {
        "param_names": ["optimizer", "problem"],
        "unit": "gradient evaluations",
    }
}


def test_values_with_their_names_units_and_samples(tmp_path):
    written(tmp_path, content(TRACKED))
    found = read_asv_results(tmp_path)
    assert found.skipped == ()
    rows = found.values.set_index("problem")
    assert list(rows["status"]) == ["measured", "failed", "skipped"]
    assert rows.loc["beale", "value"] == 120
    assert rows.loc["beale", "samples"] == (120.0, 121.0)
    assert set(rows["metric"]) == {"steps_to_target"}
    assert set(rows["optimizer"]) == {"a:Adam"}
    assert rows["exact"].all()
    assert set(rows["commit"]) == {COMMIT}


def test_a_benchmark_that_failed_as_a_whole_failed_for_each_parameter(tmp_path):
    whole = {"optimizers.Step.time_step": [None, [["'a'", "'b'"], ["1", "100"]], "v"]}
    frame = read_asv_results(written(tmp_path, content(whole))).values
    assert list(frame["status"]) == ["failed"] * 4


def test_an_infinity_is_a_failure_and_never_a_number(tmp_path):
    bare = content({"track_x": [[math.inf], [], "v"]})
    text = json.dumps(bare)
    assert "Infinity" in text  # bare, as asv writes it
    frame = read_asv_results(written(tmp_path, text)).values
    assert list(frame["status"]) == ["failed"]
    assert frame["value"].isna().all()


def test_a_timing_is_measured_and_not_exact(tmp_path):
    frame = read_asv_results(written(tmp_path, content({"s.time_x": [[0.1], [], "v"]}))).values
    assert not frame["exact"].any()
    assert list(frame["metric"]) == ["time_x"]


WRONG = {
    "not JSON": ("{", "cannot be read"),
    "a list": ("[1]", "holds a list"),
    "cut short": (json.dumps(content(TRACKED))[:-40], "cannot be read"),
    "deep": ("[" * 100_000, "cannot be read"),
    "another format": (content(TRACKED, version=1), "the format 1"),
    "no commit": (content(TRACKED, commit="HEAD"), "no commit"),
    "a commit that is a path": (content(TRACKED, commit="../" + "a" * 37), "no commit"),
    "no results": (content(None), "no results"),
    "no date": (content(TRACKED, date=None), "no date"),
    "another machine's": (content(TRACKED, machine="there"), "of the machine 'there'"),
    "values for other parameters": (
        content({"x": [[1.0, 2.0], [["1", "2", "3"]], "v"]}),
        "other values than parameters",
    ),
    "a text for a value": (content({"x": [["<script>"], [], "v"]}), "no number"),
    "an endless number": (content({"x": [[10**400], [], "v"]}), "too large"),
    "columns that cannot name": (content(TRACKED, result_columns=[[]]), "no form of asv's"),
    "fields that are no list": (content({"x": 3}), "holds no list"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_damaged_or_foreign_is_named_and_the_rest_is_read(tmp_path, kind):
    made, why = WRONG[kind]
    written(tmp_path, content(TRACKED))
    written(tmp_path, made, name="bbbbbbbb-env.json")
    found = read_asv_results(tmp_path)
    ((name, reason),) = found.skipped
    assert name.endswith("bbbbbbbb-env.json")
    assert why in reason
    assert len(found.values) == 3


def test_files_that_are_no_results_are_passed_over(tmp_path):
    written(tmp_path, {"machine": "here", "version": 1}, name="machine.json")
    (tmp_path / "notes.txt").write_text("mine")
    found = read_asv_results(tmp_path)
    assert found.values.empty
    assert found.skipped == ()


def test_no_such_folder(tmp_path):
    with pytest.raises(NoResults, match="no such folder"):
        read_asv_results(tmp_path / "none")


def test_without_their_declaration_our_own_metrics_are_known_by_name(tmp_path):
    written(tmp_path, content(TRACKED))
    (tmp_path / "benchmarks.json").unlink()
    found = read_asv_results(tmp_path)
    assert found.values["exact"].all()
    assert "is missing" in dict(found.skipped)["benchmarks.json"]


def test_names_are_a_line_that_a_terminal_can_show(tmp_path):
    odd = {"x": [[1.0], [["'a\\nb\\x1b[31m\\ud800'"]], "v"]}
    frame = read_asv_results(written(tmp_path, content(odd))).values
    (shown,) = frame["parameters"]
    assert shown.isprintable()
