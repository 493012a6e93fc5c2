"""docs/in-your-repository.md names every file that is written, and every option."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from optbench.cli.init import init
from optbench.scaffold import drafts
from optbench.scaffold.pins import optbench_requirement
from optbench.scaffold.repository import ASV, PYPROJECT, Repository
from optbench.scaffold.workflows import workflows
from optbench.sources.configuration import Configuration

PAGE = (Path(__file__).parents[2] / "docs" / "in-your-repository.md").read_text("utf-8")


def test_the_page_names_every_file() -> None:
    names = [ASV, PYPROJECT, ".gitignore", "benchmarks/__init__.py", "benchmarks/optimizers.py"]
    names += ["tests/test_optimizer_contract.py", ".github/workflows/optbench-*.yml"]
    names += workflows(drafts.setting(optbench_requirement(None)))
    for name in names:
        assert f"| `{name}` |" in PAGE, name
    for line in drafts.IGNORED:
        assert f"`{line.removeprefix('/')}`" in PAGE


def test_the_page_names_every_option() -> None:
    for parameter in inspect.signature(init, eval_str=True).parameters.values():
        # In an annotation Typer's first argument is the option's name, whatever it is called.
        name = parameter.annotation.__metadata__[0].default
        if parameter.name != "folder":
            assert f"`{name}" in PAGE or f" {name}" in PAGE, name


def test_the_page_says_what_asv_is_told() -> None:
    content = json.loads(drafts.asv_configuration(Repository(Path("x"), {}, Configuration()), {}))
    assert f"`branches: {json.dumps(content['branches'])}`" in PAGE
    for option in ("--no-deps", "--no-build-isolation"):
        assert option in content["build_command"][0]
        assert f"`{option}`" in PAGE
    for variable in content["matrix"]["env_nobuild"]:
        assert f"`{variable}`" in PAGE
