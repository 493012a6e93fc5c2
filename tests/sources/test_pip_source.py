"""A requirement is installed into a folder of its own, once where it is pinned, or not at all."""

from __future__ import annotations

import os
import shutil
import threading
import time
import zipfile
from pathlib import Path

import pytest

from optbench.sources import SourceError, Tree, parse, prepare
from optbench.sources.cache import cache_folder
from optbench.sources.pip import built, installed, what_was_installed


def make_wheel(
    folder: Path,
    version: str,
    *,
    name: str = "tinyopt",
    files: tuple[str, ...] = ("tinyopt/__init__.py",),
    requires: str = "",
) -> Path:
    """A wheel, as it is written by hand: each file holds the version."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content = dict.fromkeys(files, f"VERSION = {version!r}\n") | {
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in (*content, f"{info}/RECORD"))
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in content.items():
            archive.writestr(file, text)
    return wheel


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one place that pip finds anything in, beside a cache of the test's own."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("OPTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.chdir(tmp_path)
    return shelf


def refusal(requirement: str, scratch: Path) -> str:
    with pytest.raises(SourceError) as refused:
        installed(requirement, scratch)
    return str(refused.value)


def kept() -> list[Path]:
    """What is in the cache, half-made things too."""
    home = cache_folder() / "pip"
    return sorted(home.iterdir()) if home.is_dir() else []


# Once, or anew.


def test_what_is_pinned_is_installed_once(tmp_path: Path, shelf: Path) -> None:
    wheel = make_wheel(shelf, "1.2", requires="something-that-is-nowhere")
    site = installed("tinyopt==1.2", tmp_path / "scratch")
    assert kept() == [site]
    assert site.name.startswith("tinyopt-1.2-")
    assert (site / "tinyopt" / "__init__.py").read_text() == "VERSION = '1.2'\n"
    assert what_was_installed(site) == ("tinyopt 1.2", ("tinyopt",))
    assert sorted(each.name for each in site.iterdir()) == ["tinyopt", "tinyopt-1.2.dist-info"]
    assert not list(site.rglob("__pycache__"))
    wheel.unlink()  # so that pip could not do it again
    tree = prepare(parse("pip:tinyopt==1.2"), tmp_path / "base")
    assert tree == Tree("pip:tinyopt==1.2", site, ("tinyopt",), "tinyopt 1.2")
    assert not (tmp_path / "scratch").exists()
    assert not (tmp_path / "base").exists()


def test_what_is_not_pinned_is_resolved_anew(tmp_path: Path, shelf: Path) -> None:
    for version in ("1.2", "1.3"):
        make_wheel(shelf, version)
        tree = prepare(parse("pip:tinyopt>=1"), tmp_path / f"with {version}")
        assert (tree.path, tree.version) == (tmp_path / f"with {version}", f"tinyopt {version}")
    assert kept() == []


def test_a_wheel_file_is_installed_anew_and_no_version_of_it_kept(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "with space", "1.2", files=("tinyopt.py", "tests/__init__.py"))
    tree = prepare(parse(f"pip:{wheel}"), tmp_path / "base")
    assert (tree.path, tree.version) == (tmp_path / "base", "tinyopt 1.2")
    assert "tinyopt" in tree.packages
    assert kept() == []


@pytest.mark.proof
def test_two_at_once_share_what_the_first_installs(tmp_path: Path, shelf: Path) -> None:
    make_wheel(shelf, "1.2")
    sites: list[Path] = []
    both = [
        threading.Thread(target=lambda: sites.append(installed("tinyopt==1.2", tmp_path / "no")))
        for _ in range(2)
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sites == kept() * 2


# Not at all.


def damaged(wheel: Path) -> Path:
    """Bytes that do not fit their sum: pip has begun to write when it finds out."""
    wheel.write_bytes(wheel.read_bytes().replace(b"VERSION = '1.2'", b"VERSION = '1.X'"))
    return wheel


def test_a_failed_install_leaves_nothing_half_made(tmp_path: Path, shelf: Path) -> None:
    damaged(make_wheel(shelf, "1.2"))
    for requirement in ("tinyopt==1.2", "tinyopt"):
        message = refusal(requirement, tmp_path / "scratch")
        assert message.startswith(f"pip cannot install {requirement}: ")
        assert len(message.splitlines()) <= 4
        assert kept() == []
        assert not (tmp_path / "scratch").exists()


def test_why_pip_broke_off_is_said(tmp_path: Path, shelf: Path) -> None:
    message = refusal(str(damaged(make_wheel(shelf, "1.2"))), tmp_path / "scratch")
    assert "CRC" in message
    assert len(message.splitlines()) == 1


def build_that_does(folder: Path, *lines: str) -> Path:
    """A checkout with a build backend that does this."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
    )
    text = "\n    ".join(("def build_wheel(*_, **__):", *lines))
    (folder / "backend.py").write_text(f"{text}\n")
    return folder


def test_why_a_checkout_cannot_be_built_is_said(tmp_path: Path) -> None:
    checkout = build_that_does(
        tmp_path / "checkout", "print('much\\n' * 50)", "raise RuntimeError('there is no compiler')"
    )
    with pytest.raises(SourceError) as refused:
        built(checkout, tmp_path / "site")
    assert str(refused.value) == (
        f"pip cannot install {checkout}: RuntimeError: there is no compiler"
    )
    assert not (tmp_path / "site").exists()


def test_of_a_compiler_its_errors_are_said(tmp_path: Path) -> None:
    checkout = build_that_does(
        tmp_path / "checkout",
        "for n in range(9): print(f'x.c:{n}:8: error: no such thing\\n    {n} | int x( {{')",
        "raise SystemExit('error: gcc failed with exit status 1')",
    )
    with pytest.raises(SourceError) as refused:
        built(checkout, tmp_path / "site")
    said = str(refused.value).removeprefix(f"pip cannot install {checkout}: ").splitlines()
    assert said[-1] == "error: gcc failed with exit status 1"
    assert said[:-1] == [f"x.c:{n}:8: error: no such thing" for n in (6, 7, 8)]


def test_a_build_without_what_it_needs_is_told_where_to_name_it(tmp_path: Path) -> None:
    checkout = build_that_does(tmp_path / "checkout", "import torch_of_nobody")
    with pytest.raises(SourceError) as refused:
        prepare(parse(f"dir:{checkout}"), tmp_path / "base", install=True)
    assert str(refused.value) == (
        f"pip cannot install dir:{checkout}: ModuleNotFoundError: No module named "
        "'torch_of_nobody'\na build finds only what [build-system] requires in pyproject.toml names"
    )


def test_what_a_build_requires_in_vain_is_said(tmp_path: Path) -> None:
    checkout = build_that_does(tmp_path / "checkout")
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace("[]", "['nowhere-to-be']"))
    with pytest.raises(SourceError, match="No matching distribution found for nowhere-to-be"):
        built(checkout, tmp_path / "site")


def test_what_is_nowhere_is_refused_in_pip_s_words(tmp_path: Path) -> None:
    message = refusal("tinyopt==9.9", tmp_path / "scratch")
    assert message.startswith("pip cannot install tinyopt==9.9: ERROR: ")
    assert "No matching distribution found for tinyopt==9.9" in message
    assert kept() == []


def test_a_requirement_of_another_python_installs_nothing(tmp_path: Path, shelf: Path) -> None:
    make_wheel(shelf, "1.2")
    message = refusal('tinyopt==1.2; python_version < "3"', tmp_path / "scratch")
    assert message.startswith("pip installed nothing of tinyopt==1.2")
    assert "semicolon" in message
    assert kept() == []
    assert refusal('tinyopt; python_version < "3"', tmp_path / "scratch").startswith(
        "pip installed"
    )
    assert not (tmp_path / "scratch").exists()


def test_what_killed_installs_left_goes_after_a_day(tmp_path: Path, shelf: Path) -> None:
    make_wheel(shelf, "1.2")
    for name, age in (("old", 25 * 3600), ("young", 3600)):
        half = cache_folder() / "pip" / f".half-{name}"
        (half / "site").mkdir(parents=True)
        os.utime(half, (time.time() - age,) * 2)
    site = installed("tinyopt==1.2", tmp_path / "scratch")
    assert kept() == [cache_folder() / "pip" / ".half-young", site]


@pytest.mark.parametrize(
    "requirement",
    ["torch", "torch==2.4", "Torch>=2", "torch[opt]==2.4", "numpy<2", "SciPy", "torch @ file:///x"],
)
def test_what_both_sides_compute_with_is_refused(tmp_path: Path, requirement: str) -> None:
    message = refusal(requirement, tmp_path / "scratch")
    assert message.startswith(f"pip:{requirement}: both sides compute with the ")
    assert message.endswith("compared by two environments and optbench check")


@pytest.mark.parametrize("option", ["-r requirements.txt", "--editable .", "-e.", "-"])
def test_an_option_of_pip_s_is_refused(tmp_path: Path, option: str) -> None:
    message = refusal(option, tmp_path / "scratch")
    assert message == f"pip:{option} is not a requirement but an option of pip"


def test_a_folder_is_told_how_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkout").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("./checkout", "checkout/", f"{tmp_path}/checkout", "~/checkout"):
        message = refusal(text, tmp_path / "scratch")
        assert message == f"pip:{text} is a folder: write dir:{text} --install"


@pytest.mark.parametrize("folder", [".", ".."])
def test_the_folder_here_is_told_how_it_is_written_too(tmp_path: Path, folder: str) -> None:
    message = refusal(folder, tmp_path / "scratch")
    assert message == f"pip:{folder} is a folder: write dir:{folder} --install"


def test_a_package_beside_a_folder_of_its_name_is_the_package(tmp_path: Path, shelf: Path) -> None:
    make_wheel(shelf, "1.2")
    (tmp_path / "tinyopt").mkdir()
    assert what_was_installed(installed("tinyopt", tmp_path / "scratch"))[0] == "tinyopt 1.2"


@pytest.mark.parametrize(
    "requirement",
    [
        "tinyopt=1.2",
        "tinyopt 1.2",
        "tinyopt==",
        "tinyopt==1.2 --hash=sha256:0",
        "git+https://example.org/tinyopt",
        "tinyopt==1.2\nother==1",
        "ÄÖ",
        "./nowhere/tinyopt-1.2-py3-none-any.whl",
        "$(touch ran)",
    ],
)
def test_what_is_no_requirement_is_refused_with_one_that_is(
    tmp_path: Path, requirement: str
) -> None:
    message = refusal(requirement, tmp_path / "scratch")
    on_a_line = requirement.replace("\n", "\\n")
    assert message.startswith(f"pip:{on_a_line} is not a requirement (")
    assert message.endswith("; such as pip:tinyopt==1.2")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "requirement", ["x" * 300 + "==1.2", "~nobody-here/tinyopt"], ids=["long", "home"]
)
def test_a_requirement_that_is_an_impossible_path_is_refused(
    tmp_path: Path, requirement: str
) -> None:
    assert requirement in refusal(requirement, tmp_path / "scratch")


# Folders that must be built.


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkout").mkdir()
    with pytest.raises(SourceError, match=r"Neither 'setup.py' nor 'pyproject.toml' found"):
        built(tmp_path / "checkout", tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_a_folder_is_built_in_a_copy_of_it(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    build_that_does(checkout, "open('made', 'w').close()", "raise RuntimeError('built')")
    for file in (".git/x", "build/old", "own/pyvenv.cfg", "tinyopt/build/x.py", "dist/x", "runs/x"):
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        (checkout / file).touch()
    (checkout / "link").symlink_to("tinyopt")
    before = sorted(checkout.rglob("*"))
    for base in (tmp_path / "base", checkout / "runs" / "base"):  # the second would hold itself
        with pytest.raises(SourceError, match="RuntimeError: built"):
            prepare(parse(f"dir:{checkout}"), base, install=True)
        assert {each.name for each in base.iterdir()} - {"__pycache__"} == {
            *("backend.py", "link", "made", "pyproject.toml", "runs", "tinyopt"),
        }
        assert (base / "tinyopt" / "build" / "x.py").exists()
        assert (base / "link").is_symlink()
        assert [each.name for each in (base / "runs").iterdir()] == ["x"]
    shutil.rmtree(checkout / "runs" / "base")
    assert sorted(checkout.rglob("*")) == before


# What was installed.


def test_modules_are_named_as_they_are_imported(tmp_path: Path) -> None:
    files = ("b/__init__.py", "b/sub/deep.py", "a.py", "space/part/__init__.py", "c/data.txt")
    wheel = make_wheel(tmp_path, "1.2", files=(*files, "not-a-name/x.py"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    assert what_was_installed(tmp_path / "site") == ("tinyopt 1.2", ("a", "b", "space"))


def test_an_empty_folder_has_nothing_installed(tmp_path: Path) -> None:
    assert what_was_installed(tmp_path) == ("", ())
