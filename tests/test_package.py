"""What the package promises as a whole: light to import, pinned, licensed, two commands."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import optbench

ROOT = Path(optbench.__file__).parent.parent
HEAVY = ("torch", "pandas", "numpy", "matplotlib", "scipy", "sqlalchemy", "pydantic", "pytest")

checkout = pytest.mark.skipif(
    not (ROOT / "pyproject.toml").exists(), reason="installed without a checkout around it"
)


def loaded_by(code: str, *arguments: str) -> set[str]:
    """Which heavy packages a fresh Python has loaded when the code has run."""
    listing = f"import atexit, sys; atexit.register(lambda: print(*sorted(sys.modules))); {code}"
    ended = subprocess.run(
        [sys.executable, "-c", listing, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return set(HEAVY) & set(ended.stdout.splitlines()[-1].split())


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_by("import optbench; optbench.load, optbench.__version__; dir(optbench)") == set()


def test_what_outsiders_test_with_is_loaded_when_it_is_asked_for() -> None:
    assert "torch" in loaded_by("import optbench; optbench.parametrize_with_checks")
    # Not every user of it has pytest.
    assert "pytest" not in loaded_by("import optbench; optbench.assert_converges")


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'optbench' has no attribute 'runs'"):
        _ = optbench.runs


def test_the_listing_of_what_is_loaded_is_to_be_trusted() -> None:
    assert loaded_by("import pydantic") == {"pydantic"}


@pytest.mark.parametrize(
    "arguments",
    [
        *(("--help",), ("run", "--help"), ("report", "--help"), ("export", "--help"), ("list",)),
        ("report", "--store", "there-is-no-such.sqlite"),
    ],
    ids=" ".join,
)
def test_help_and_mistakes_do_not_wait_for_libraries(arguments: tuple[str, ...]) -> None:
    # Only `list` without a catalogue is an error, and it shows its help as well.
    code = "import sys; from optbench.cli import main\ntry: main()\nexcept SystemExit: pass"
    loaded = loaded_by(f"exec({code!r})", *arguments)
    # pydantic comes with Typer, and does not take long.
    assert loaded <= {"pydantic"}


def test_who_leads_a_comparison_waits_for_torch_only_where_something_differs() -> None:
    code = "import optbench.comparison.compare, optbench.comparison.bisection"
    assert "torch" not in loaded_by(f"{code}, optbench.reporting.comparison_text")


def test_what_the_package_offers() -> None:
    assert set(optbench.__all__) <= set(dir(optbench))
    values = {name: getattr(optbench, name) for name in optbench.__all__}
    assert values.pop("__version__") == metadata.version("optbench")
    assert [name for name, value in values.items() if not callable(value)] == ["plot"]
    assert all(value.__doc__ for value in values.values())


@pytest.mark.parametrize("name", ["py.typed", "problems/data/mnist_10k.npz",
                                  "problems/data/minima.json", "problems/data/LICENSE.mnist",
                                  "reporting/templates/index.html.j2"])  # fmt: skip
def test_what_is_no_python_ships_with_it(name: str) -> None:
    spec = importlib.util.find_spec("optbench")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    assert (Path(spec.submodule_search_locations[0]) / name).is_file()


def test_the_console_script_is_the_command_line() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="optbench")
    assert script.value == "optbench.cli:main"


def test_pytest_finds_the_plug_in() -> None:
    (plugin,) = metadata.entry_points(group="pytest11", name="optbench")
    assert plugin.value == "optbench.conformance.pytest_marks"


@checkout
def test_files_that_are_no_python_are_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    data = declared["tool"]["setuptools"]["package-data"]
    others = [
        path.relative_to(ROOT)
        for path in (ROOT / "optbench").rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert others
    for path in others:
        fits = [
            path.relative_to(package.replace(".", "/")).match(pattern)
            for package, patterns in data.items()
            for pattern in patterns
            if path.is_relative_to(package.replace(".", "/"))
        ]
        assert any(fits), f"{path} would not ship"


# Pins.


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    stated = [line for line in lines if line.strip() and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in stated), stated
    return {normal(line.partition("==")[0]): line.partition("==")[2] for line in stated}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def project() -> dict[str, list[str]]:
    """Requirements by extra; '' is what a run needs."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return {"": stated["dependencies"], **stated["optional-dependencies"]}


def names(requirements: list[str]) -> set[str]:
    return {normal(re.split(r"[\[<>=!~; ]", each)[0]) for each in requirements}


@checkout
def test_torch_is_pinned_to_the_version_without_surprises() -> None:
    assert pins()["torch"] == "2.13.0"


@checkout
@pytest.mark.parametrize("extra", ["", "parquet", "track", "dask", "postgres", "test"])
def test_every_requirement_is_pinned(extra: str) -> None:
    required = names(project()[extra]) - {"optbench"}
    assert required
    assert required <= set(pins())


@checkout
def test_what_is_chosen_is_required_and_no_more() -> None:
    named = "torch numpy pandas matplotlib pillow scipy sqlalchemy typer rich jinja2 pydantic"
    named += " packaging cloudpickle remotezip"
    assert names(project()[""]) == set(named.split())
    assert {"pytest", "hypothesis", "ruff", "mypy", "import-linter"} <= names(project()["test"])
    assert {"asv", "virtualenv"} <= names(project()["track"])


@checkout
def test_whatever_the_requirements_bring_is_pinned_as_well() -> None:
    # Of what is installed here: every requirement of a requirement, down to the last.
    known, waiting = set(), [normal(name) for name in names(project()[""] + project()["test"])]
    while waiting:
        name = waiting.pop()
        if name in known or name == "optbench":
            continue
        try:
            found = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # Of another platform, or of an extra that nobody asked for.
        known.add(name)
        waiting += [normal(each) for each in names([r for r in found if "extra ==" not in r])]
    assert known >= {"torch", "sympy", "mpmath", "click", "pluggy"}
    assert known - set(pins()) == set()


@checkout
def test_what_is_installed_here_is_what_is_pinned() -> None:
    wrong = {}
    for name, pin in pins().items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        # A build of torch says what it was built for: 2.13.0+cpu.
        if found.partition("+")[0] != pin:
            wrong[name] = found
    assert wrong == {}


# Commands.


@checkout
@pytest.mark.parametrize(
    ("target", "steps"),
    [
        ("report", ["optbench run --suite quick", "optbench report"]),
        ("test", ["ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"]),
    ],
)
def test_make_has_the_command_with_its_steps_in_order(target: str, steps: list[str]) -> None:
    # A dry run, with every stamp taken for new: it says what it would do and does nothing.
    stamps = [f"--old-file=.venv/{each}" for each in (".installed", ".installed-test")]
    ended = subprocess.run(
        ["make", "--dry-run", *stamps, target],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE") and k != "MFLAGS"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith(".venv/bin/")]
    assert len(lines) == len(steps)
    for line, step in zip(lines, steps, strict=True):
        assert line.startswith(f".venv/bin/{step}")


@checkout
def test_pip_is_never_called_without_the_pins() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    assert "export PIP_CONSTRAINT := constraints.txt" in text
    assert text.count("pip install") == 1


@checkout
def test_ci_runs_the_tests_and_the_proofs_and_takes_their_exit_status(tmp_path: Path) -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    fake = tmp_path / "make"
    fake.write_text('#!/bin/sh\necho "$PWD: make $*"\nexit 7\n')
    fake.chmod(0o755)
    ended = subprocess.run(
        [script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (7, f"{ROOT}: make --keep-going coverage proofs\n")


# Licences.


@checkout
def test_code_and_data_have_their_licences() -> None:
    assert "MIT" in (ROOT / "LICENSE").read_text("utf-8")
    ours = (ROOT / "DATA_LICENSE").read_text("utf-8")
    beside = (ROOT / "optbench" / "problems" / "data" / "LICENSE.mnist").read_text("utf-8")
    for text in (ours, beside):
        assert "MNIST" in text
        assert "mnist_10k.npz" in text
        assert "Attribution-ShareAlike 3.0" in " ".join(text.split())
        assert "LeCun" in text
