"""The tour in Python: the notebook runs, and says what it claims to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

TOUR = Path(__file__).parents[2] / "docs" / "tour.ipynb"

pytestmark = pytest.mark.skipif(not TOUR.exists(), reason="installed without its documents")


def text_of(cell: Any) -> str:
    outputs = cell.get("outputs", [])
    return "\n".join(each.get("text") or each["data"]["text/plain"] for each in outputs)


def test_it_is_committed_without_outputs() -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    assert not [cell for cell in notebook.cells if cell.get("outputs")]


@pytest.mark.proof
def test_the_tour_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "OPTBENCH_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    notebook = nbformat.read(TOUR, as_version=4)
    nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    results, figure, checks, comparison, page = (
        next(cell for cell in notebook.cells if cell.cell_type == "code" and start in cell.source)
        for start in ("optbench.run(", "plot.sensitivity(", ".check(", ".compare(", ".report(")
    )
    assert "<Results: 108 runs of 3 optimizers on 3 problems" in text_of(results)
    assert "image/png" in figure.outputs[0]["data"]
    assert "failed: follows_the_reference" in text_of(checks)
    assert "deepcopies_and_pickles" not in text_of(checks)
    assert "<Comparison of 1 optimizer: dir:before and dir:after>" in text_of(comparison)
    assert "index.html" in text_of(page)
    assert (tmp_path / "tour-report" / "index.html").is_file()
