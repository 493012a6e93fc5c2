"""asv installs the versions that are written down: it is asked how it reads them."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from optbench.scaffold import ScaffoldError, pins
from optbench.scaffold.pins import matrix, optbench_requirement
from optbench.scaffold.repository import Repository
from optbench.sources.configuration import Configuration

util = pytest.importorskip("asv.util", reason="asv is in the extra `track`")


def library(*dependencies: str, requires: tuple[str, ...] = ("setuptools",)) -> Repository:
    project = {"name": "tinyopt", "dependencies": list(dependencies)}
    pyproject = {"project": project, "build-system": {"requires": list(requires)}}
    return Repository(Path(), pyproject, Configuration())


def installed(requirements: dict[str, list[str]]) -> list[str]:
    """What asv gives to pip, as its environments do."""
    said: list[str] = []
    for name, versions in requirements.items():
        read = util.ParsedPipDeclaration(f"{name} {(versions or [''])[0]}")
        util.construct_pip_call(lambda arguments: said.append(arguments[-1]), read)()
    return said


def test_every_dependency_is_installed_in_its_version_torch_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found, notes = matrix(library("torch>=2", "pytest"), optbench_requirement(None))
    said = installed(found)
    torch = version("torch").partition("+")[0]
    assert said[:2] == [f"torch=={torch}", f"numpy=={version('numpy')}"]
    assert {f"pytest=={version('pytest')}", f"optbench=={version('optbench')}"} <= set(said)
    assert {name.partition("==")[0] for name in said} >= {"pandas", "scipy", "jinja2", "packaging"}
    assert len({Requirement(each).name for each in said}) == len(said)
    assert notes == []
    monkeypatch.setattr(pins, "requires", lambda _: ["pandas", "numpy>=2", "torch; extra == 'x'"])
    found, _ = matrix(library(), optbench_requirement(None))
    assert list(found) == ["torch", "numpy", "pandas", "optbench"]


@pytest.mark.parametrize(
    ("here", "wanted"),
    [("1.2.3", "1.2.3"), ("1.2+cpu", "1.2"), ("2rc1", "2rc1"), ("1.2.post1", "1.2.post1"),
     ("0.5.dev3", "0.5.dev3"), ("2024.1", "2024.1")],
)  # fmt: skip
def test_versions_that_asv_would_misread_are_written_otherwise(
    here: str, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pins, "version", lambda name: here if name == "odd" else version(name))
    found, _ = matrix(library("odd"), optbench_requirement(None))
    assert f"odd=={wanted}" in installed(found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("optbench==0.3", "optbench==0.3"),
        ("optbench>=0.3", "optbench>=0.3"),
        ("optbench", "optbench"),
        ("optbench @ git+https://h.org/a-b/c.git@v1.0", "git+https://h.org/a-b/c.git@v1.0"),
    ],
)
def test_optbench_is_installed_as_it_was_asked_for(text: str, wanted: str) -> None:
    found, _ = matrix(library(), optbench_requirement(text))
    assert installed(found)[-1] == wanted


@pytest.mark.parametrize(
    "text",
    ["tinyopt", "./optbench", "optbench @ file:///x", "optbench @ git+ssh://h.org/x",
     "optbench @ git+https://h.org/$(id)", "optbench @ git+https://h.org/${{ x }}",
     "optbench @ git+https://h.org/x#subdirectory=y", "optbench>=1,<2",
     "optbench; python_version>'3'"],
)  # fmt: skip
def test_what_asv_could_not_install_is_refused(text: str) -> None:
    with pytest.raises(ScaffoldError, match="optbench==VERSION"):
        optbench_requirement(text)


def test_what_is_not_known_is_said() -> None:
    found, notes = matrix(
        library("nothing-of-that-name", requires=("setuptools_scm[toml]>=8",)),
        optbench_requirement(None),
    )
    assert found["nothing-of-that-name"] == []
    assert "nothing-of-that-name is not installed here" in notes[0]
    assert "setuptools_scm[toml]>=8" in notes[1]
    # The reason for that note: of a least version asv makes the only one.
    assert installed({"setuptools_scm[toml]>=8": []}) == ["setuptools_scm==8"]
    dynamic = library()
    dynamic.pyproject["project"]["dynamic"] = ["dependencies"]
    assert "it is not installed" in matrix(dynamic, optbench_requirement(None))[1][0]
    assert json.dumps(found)
