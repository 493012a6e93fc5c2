"""This repository's workflows, from the templates of `optbench init`.

``python tests/workflows/own.py`` writes them.
"""

from __future__ import annotations

from pathlib import Path

from optbench.scaffold.workflows import Setting, workflows

FOLDER = Path(__file__).parents[2] / ".github" / "workflows"

OWN = Setting(
    origin="Rendered by tests/workflows/own.py from optbench/scaffold/templates.",
    python="3.11",
    install=("make .venv/.installed-track", 'echo "$PWD/.venv/bin" >> "$GITHUB_PATH"'),
    night="make nightly",
    prefix="",
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in workflows(OWN).items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
