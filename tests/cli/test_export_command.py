"""``optbench export`` and ``optbench report`` on a store of a few real runs."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from optbench.engine.plan import Selection, plan
from optbench.store import Store, fill

if TYPE_CHECKING:
    from conftest import Optbench

NAMED_IN_THE_ISSUE = {
    *("optimizer", "variant", "problem", "problem_version", "data", "lr", "hyperparameters"),
    *("seed", "dtype", "status", "error", "steps", "final_gap", "steps_to_target"),
    *("seconds_per_step", "state_bytes"),
}


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "results.sqlite"
    selection = Selection(
        optimizers=("sgd", "adam", "adam[fused]"),
        problems=("quadratic", "rosenbrock-2d"),
        rates=(1e-3, 0.1, 1e6),
        seeds=(0, 1, 2, 3),
        budget=60,
    )
    with Store(str(path), create=True) as store:
        fill(store, plan([selection]).runs)
    return path


@pytest.fixture
def store(filled: Path, workplace: Path) -> Path:
    """The store of the module, copied to the default place of an empty folder."""
    path = workplace / ".optbench" / "results.sqlite"
    path.parent.mkdir()
    shutil.copy(filled, path)
    return path


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


def test_the_report_is_written_and_its_path_is_what_is_printed(
    optbench: Optbench, store: Path, workplace: Path
) -> None:
    code, out, err = optbench("report")
    page = workplace / "reports" / "latest" / "index.html"
    assert (code, out) == (0, f"{page}\n")
    assert err == "the report:\n"
    text = page.read_text("utf-8")
    assert "rosenbrock-2d" in text
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert (page.parent / "report.md").stat().st_size
    assert list((page.parent / "figures").glob("*.svg"))
    assert list((page.parent / "tables").glob("*.csv"))


def test_the_report_goes_where_it_is_told_with_the_baseline_it_is_told(
    optbench: Optbench, store: Path
) -> None:
    code, out, _ = optbench("report", "--out", "there/deep", "--baseline", "sgd")
    assert code == 0
    assert Path(out.strip()) == Path("there/deep/index.html").resolve()
    assert "--baseline sgd" in Path("there/deep/report.md").read_text("utf-8")
    optbench("report", "--out", "adam")
    tables = [Path(out, "tables", "summary-default.csv") for out in ("there/deep", "adam")]
    ours, theirs = (pd.read_csv(table).set_index("optimizer") for table in tables)
    assert set(ours.index) == set(theirs.index)
    assert not ours.sort_index().equals(theirs.sort_index())


def test_reading_changes_no_byte_of_the_store(optbench: Optbench, store: Path) -> None:
    before = store.read_bytes()
    optbench("export")
    optbench("report")
    assert store.read_bytes() == before
