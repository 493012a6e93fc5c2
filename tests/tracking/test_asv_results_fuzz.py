"""Whatever lies in a folder of asv's results: each file is read, or named with the reason."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fuzzing import HOSTILE, damaged, fuzzed, texts, values
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.api.report_inputs import costs
from optbench.reporting.history_text import lines
from optbench.tracking.asv_results import read_asv_results
from optbench.tracking.history import COLUMNS, history

COMMIT = "a" * 40
FIELDS = ("result", "params", "version", "samples")

Made = dict[str, Any]


def content(text: str) -> Made:
    """A file whose every text is one."""
    entry = [[1.0, None, 2], [[repr(text), "'b'", "3"]], text, [[1.0, 2.0], None, [3]]]
    timed = [[1.0, 2.0], [["'adam[fused]'"], ["1000", "10000000"], ["10"]], text, None]
    return {
        "commit_hash": COMMIT, "date": 1, "version": 2, "params": {"machine": "here"},
        "env_name": text, "result_columns": list(FIELDS),
        "results": {text: entry, "s.time_step": timed, "x.bandwidth_gap": [[3.0], [], text]},
    }  # fmt: skip


contents = damaged(texts.map(content))


def bomb(lists: int, entries: int) -> Made:
    """Few bytes that name ``entries ** lists`` combinations of parameters."""
    params = [[str(n) for n in range(entries)]] * lists
    return {
        "commit_hash": COMMIT, "date": 1, "version": 2, "params": {"machine": "here"},
        "result_columns": list(FIELDS), "results": {"a.b": [None, params, "v", None]},
    }  # fmt: skip


def written(folder: Path, content: bytes, declared: bytes = b"{}") -> Path:
    (folder / "here").mkdir(parents=True, exist_ok=True)
    (folder / "here" / "one.json").write_bytes(content)
    (folder / "benchmarks.json").write_bytes(declared)
    return folder


def well_read(folder: Path) -> pd.DataFrame:
    found = read_asv_results(folder)
    assert list(found.values.columns) == list(COLUMNS)
    for column in ("benchmark", "metric", "optimizer", "problem", "parameters", "environment",
                   "machine", "unit", "version"):  # fmt: skip
        assert found.values[column].map(lambda text: text.isprintable()).all(), column
    for name, reason in found.skipped:
        assert f"{name} {reason}".isprintable()
        assert len(reason) < 3000
    return found.values


@fuzzed(150)
@given(content=contents.map(json.dumps).map(str.encode) | st.binary(), declared=values)
@example(json.dumps(bomb(40, 100)).encode(), {})
@example(b"[" * 900 + b"]" * 900, {})
@example(b'{"version": ' + b"[" * 900 + b"]" * 900 + b"}", {})
@example(b"9" * 5000, {})
@example(json.dumps({**bomb(1, 1), "commit_hash": "\x1b[2J" * 9000}).encode(), {})
@example(json.dumps({**bomb(1, 1), "date": 10**400}).encode(), {})
def test_any_file(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, declared: object
) -> None:
    folder = tmp_path_factory.getbasetemp() / "asv"
    well_read(written(folder, content, json.dumps(declared).encode()))


@fuzzed(60)
@given(made=contents)
def test_what_is_read_can_be_told_and_drawn(
    tmp_path_factory: pytest.TempPathFactory, made: Made
) -> None:
    folder = tmp_path_factory.getbasetemp() / "told"
    names = {"s.time_step": {"param_names": ["optimizer", "parameters", "tensors"]}}
    frame = well_read(written(folder, json.dumps(made).encode(), json.dumps(names).encode()))
    found = history(frame, [COMMIT])
    assert all(line.isprintable() for line in lines(found, {}))
    costs(folder)


def test_a_whole_file_gives_its_costs(tmp_path: Path) -> None:
    names = {"s.time_step": {"param_names": ["optimizer", "parameters", "tensors"]}}
    written(tmp_path, json.dumps(content("x")).encode(), json.dumps(names).encode())
    found = costs(tmp_path)
    assert found is not None
    assert list(found.steps["seconds"]) == [1.0, 2.0]


def test_a_bomb_of_parameters_is_named_and_costs_nothing(tmp_path: Path) -> None:
    found = read_asv_results(written(tmp_path, json.dumps(bomb(40, 100)).encode()))
    assert found.values.empty
    assert dict(found.skipped)["here/one.json"].endswith("more than 100,000 combinations")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_among_the_results_is_not_waited_for(tmp_path: Path) -> None:
    written(tmp_path, b"{}")
    os.mkfifo(tmp_path / "here" / "pipe.json")
    (tmp_path / "here" / "endless.json").symlink_to("/dev/zero")
    (tmp_path / "here" / "folder.json").mkdir()
    skipped = dict(read_asv_results(tmp_path).skipped)
    assert "it is not a plain file" in skipped["here/pipe.json"]
    assert "it is not a plain file" in skipped["here/endless.json"]
    assert "cannot be read" in skipped["here/folder.json"]


def test_a_file_of_a_terabyte_is_not_read(tmp_path: Path) -> None:
    written(tmp_path, b"{}")
    with (tmp_path / "here" / "one.json").open("r+b") as file:
        file.truncate(2**40)  # of holes: it takes no room
    skipped = dict(read_asv_results(tmp_path).skipped)
    assert "at most 104,857,600 are read" in skipped["here/one.json"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_are_kept_as_data(tmp_path: Path, text: str) -> None:
    result = {text: [[1.0], [[repr(text)]], text, None]}
    made = {**bomb(1, 1), "results": result, "env_name": text}
    declared = {text: {"param_names": [text], "unit": text}}
    frame = well_read(written(tmp_path, *(json.dumps(each).encode() for each in (made, declared))))
    assert list(frame["value"]) == [1.0]
    assert not math.isnan(frame["value"].iloc[0])
