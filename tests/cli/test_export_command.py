"""``optbench export`` on a store of a few real runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from optbench.store import Store

if TYPE_CHECKING:
    from conftest import Optbench

NAMED_IN_THE_ISSUE = {
    *("optimizer", "variant", "problem", "problem_version", "data", "lr", "hyperparameters"),
    "lr_schedule",
    *("seed", "dtype", "status", "error", "steps", "final_gap", "steps_to_target"),
    *("seconds_per_step", "state_bytes"),
}


def parsed(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), keep_default_na=False, na_values={"final_gap": [""]})


def test_without_a_file_the_frame_goes_to_standard_output_as_csv(
    optbench: Optbench, store: Path
) -> None:
    code, out, err = optbench("export")
    assert (code, err) == (0, "")
    frame = parsed(out)
    with Store(str(store)) as opened:
        expected = opened.runs()
    assert len(frame) == len(expected) == 72
    assert set(frame.columns) >= NAMED_IN_THE_ISSUE
    for column in ("optimizer", "variant", "problem", "seed", "lr", "status", "final_gap"):
        assert frame[column].tolist() == pytest.approx(expected[column].tolist(), nan_ok=True)


def test_a_file_holds_what_standard_output_shows(optbench: Optbench, store: Path) -> None:
    shown = optbench("export").out
    code, out, err = optbench("export", "--out", "runs.csv")
    assert (code, out, err) == (0, "", "72 runs written to runs.csv\n")
    assert Path("runs.csv").read_text("utf-8") == shown


def test_a_censored_run_has_no_steps_to_target(optbench: Optbench, store: Path) -> None:
    frame = parsed(optbench("export").out)
    reached = frame["steps_to_target"] != ""
    assert 0 < reached.sum() < len(frame)
    assert frame.loc[reached, "steps_to_target"].astype(float).between(0, 60).all()
    assert (frame.loc[frame["status"] == "diverged", "steps_to_target"] == "").all()


def test_every_run_is_there_whatever_its_status(optbench: Optbench, store: Path) -> None:
    frame = parsed(optbench("export").out)
    assert set(frame["status"]) == {"ok", "diverged"}
    assert set(frame["variant"]) == {"", "fused"}


@pytest.mark.parametrize(
    "arguments", [("--out", "runs.parquet"), ("--out", "x", "--format", "parquet")]
)
def test_parquet_holds_what_csv_holds(
    optbench: Optbench, store: Path, arguments: tuple[str, ...]
) -> None:
    optbench("export", "--out", "runs.csv")
    code, _, err = optbench("export", *arguments)
    assert (code, err) == (0, f"72 runs written to {arguments[1]}\n")
    frame = pd.read_parquet(arguments[1])
    with Store(str(store)) as opened:
        pd.testing.assert_frame_equal(frame, opened.runs(), check_dtype=False)
    csv = pd.read_csv("runs.csv", keep_default_na=False)
    assert list(csv.columns) == list(frame.columns)
    pd.testing.assert_series_equal(csv["final_gap"].astype(float), frame["final_gap"])


def test_the_format_has_the_last_word_over_the_name(optbench: Optbench, store: Path) -> None:
    optbench("export", "--out", "runs.parquet", "--format", "csv")
    assert Path("runs.parquet").read_text("utf-8") == optbench("export").out


def test_two_exports_of_one_store_are_the_same_bytes(optbench: Optbench, store: Path) -> None:
    assert optbench("export").out == optbench("export").out


def test_reading_changes_no_byte_of_the_store(optbench: Optbench, store: Path) -> None:
    before = store.read_bytes()
    optbench("export")
    optbench("report")
    assert store.read_bytes() == before
