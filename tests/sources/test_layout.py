"""Where in a checkout the packages are, whatever way the project is laid out."""

from __future__ import annotations

from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from optbench.sources import SourceError, Tree, parse, prepare
from optbench.sources.tree import importable, packages_in


def laid_out(root: Path, files: str, pyproject: str = "") -> Path:
    """A checkout of empty files."""
    for file in files.split():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    if pyproject:
        (root / "pyproject.toml").write_text(pyproject, "utf-8")
    return root


def prepared(root: Path, path: str | None = None) -> Tree:
    return prepare(parse(f"dir:{root}"), root / "unused", path=path)


LAYOUTS = {
    "flat": ("tinyopt/__init__.py", "", ".", "tinyopt"),
    "src": ("src/tinyopt/__init__.py", "", "src", "tinyopt"),
    "src, and tests beside": (
        "src/tinyopt/__init__.py tests/__init__.py conftest.py setup.py docs/conf.py", "", "src",
        "tinyopt",
    ),
    "flat, and tests beside": (
        "tinyopt/__init__.py tests/__init__.py Tests/__init__.py docs/conf.py "
        "examples/a/__init__.py conftest.py setup.py noxfile.py "
        "benchmarks/__init__.py build/lib/__init__.py",
        "", ".", "tinyopt",
    ),
    "flat, and a src of another language": (
        "tinyopt/__init__.py src/kernel.cu", "", ".", "tinyopt",
    ),
    "one module": ("tinyopt.py setup.py", "", ".", "tinyopt"),
    "one module in src": ("src/tinyopt.py", "", "src", "tinyopt"),
    "two packages": ("b/__init__.py a/__init__.py c.py", "", ".", "a b c"),
    "two packages, one of the project's name": (
        "tiny_opt/__init__.py a/__init__.py", "[project]\nname = 'Tiny.-opt'", ".", "tiny_opt",
    ),
    "a name that no package has": (
        "tinyopt/__init__.py a.py", "[project]\nname = 'python-tinyopt'", ".", "a tinyopt",
    ),
    "namespace": ("src/company/tinyopt/__init__.py", "", "src", "company"),
    "setuptools where": (
        "lib/tinyopt/__init__.py src/other/__init__.py",
        "[tool.setuptools.packages.find]\nwhere = ['nowhere', 'lib']", "lib", "tinyopt",
    ),
    "setuptools where, deep": (
        "a/b/tinyopt/__init__.py", "[tool.setuptools.packages.find]\nwhere = ['a/b']", "a/b",
        "tinyopt",
    ),
    "setuptools where, here": (
        "tinyopt/__init__.py src/other/__init__.py",
        "[tool.setuptools.packages.find]\nwhere = ['.']", ".", "src tinyopt",
    ),
    "setuptools package-dir": (
        "lib/tinyopt/__init__.py other/__init__.py",
        "[tool.setuptools.package-dir]\n'' = 'lib'", "lib", "tinyopt",
    ),
    "poetry from": (
        "python/tinyopt/__init__.py other/__init__.py",
        "[[tool.poetry.packages]]\ninclude = 'tinyopt'\nfrom = 'python'", "python", "tinyopt",
    ),
    "poetry without from": (
        "tinyopt/__init__.py", "[tool.poetry]\npackages = [{include = 'tinyopt'}]", ".", "tinyopt",
    ),
    "pdm package-dir": (
        "python/tinyopt/__init__.py other/__init__.py",
        "[tool.pdm.build]\npackage-dir = 'python'", "python", "tinyopt",
    ),
    "declared folder is not there": (
        "src/tinyopt/__init__.py", "[tool.setuptools.packages.find]\nwhere = ['lib']", "src",
        "tinyopt",
    ),
    "declarations of wrong types": (
        "src/tinyopt/__init__.py",
        "[tool.setuptools]\npackages = ['tinyopt']\npackage-dir = 3\n[tool.poetry]\n"
        "packages = ['tinyopt']\n[tool.pdm]\nbuild = false", "src", "tinyopt",
    ),
    "tools are no table": ("tinyopt/__init__.py", "tool = 3\nproject = 'x'", ".", "tinyopt"),
    "broken pyproject": ("src/tinyopt/__init__.py", "[project\nname = ", "src", "tinyopt"),
    "what cannot be imported": (
        "tinyopt/__init__.py not-a-name/__init__.py a-b.py 3d.py data/x.csv "
        "__pycache__/__init__.py .hidden/__init__.py __init__.py", "", ".", "tinyopt",
    ),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_the_packages_of_a_checkout_are_found(
    tmp_path: Path, layout: tuple[str, str, str, str]
) -> None:
    files, pyproject, path, packages = layout
    tree = prepared(laid_out(tmp_path, files, pyproject))
    assert tree == Tree(f"dir:{tmp_path}", tmp_path / path, tuple(packages.split()))
    for package in tree.packages:
        assert PathFinder.find_spec(package, [str(tree.path)]) is not None


def test_a_pyproject_that_is_no_text_says_nothing(tmp_path: Path) -> None:
    laid_out(tmp_path, "src/tinyopt/__init__.py")
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert prepared(tmp_path).path == tmp_path / "src"


NAMESPACES = ["company/optim/tinyopt/__init__.py", "company/tinyopt.py", "company/optim/tinyopt.py"]


@pytest.mark.parametrize("path", ["src", None])
@pytest.mark.parametrize("files", NAMESPACES)
def test_a_namespace_is_found_however_deep(tmp_path: Path, files: str, path: str | None) -> None:
    laid_out(tmp_path, f"src/{files} setup.py tests/test_a.py docs/conf.py data/make.py")
    tree = prepared(tmp_path, path)
    assert (tree.path, tree.packages) == (tmp_path / "src", ("company",))
    laid_out(tmp_path, "src/other/__init__.py")
    assert prepared(tmp_path, path).packages == ("other",)


@pytest.mark.parametrize("files", NAMESPACES)
def test_a_namespace_is_found_beside_others_where_the_project_is_called_so(
    tmp_path: Path, files: str
) -> None:
    name = files.removesuffix(".py").removesuffix("/__init__").replace("/", "-")
    project = f"[project]\nname = '{name}'"
    for src in ("src/", ""):
        root = laid_out(tmp_path / f"in{len(src)}", f"{src}{files} hubconf.py other/x.py", project)
        tree = prepared(root)
        assert (tree.path, tree.packages) == (root / src, ("company",))


def test_a_namespace_is_found_where_the_project_says_that_packages_are(tmp_path: Path) -> None:
    where = "[tool.setuptools.packages.find]\nwhere = ['lib']"
    tree = prepared(laid_out(tmp_path, "lib/company/tinyopt.py hubconf.py", where))
    assert (tree.path, tree.packages) == (tmp_path / "lib", ("company",))


def test_a_folder_of_scripts_beside_a_module_is_no_package(tmp_path: Path) -> None:
    tree = prepared(laid_out(tmp_path, "tinyopt.py sweeps/run.py src/codegen/make.py"))
    assert (tree.path, tree.packages) == (tmp_path, ("tinyopt",))


@pytest.mark.parametrize(
    "files",
    [
        "docs/conf.py tests/test_a.py examples/deep/run.py scripts/a.py",
        "data/make.py datasets/mnist/load.py configs/a.py assets/x.csv",
        "weights/a/b/c/d/e.py images/x.png company/README.md company/tests/test_a.py",
        "venv/pyvenv.cfg own/pyvenv.cfg own/lib/x.py not-a-name/x.py .hidden/x.py __pycache__/x.py",
    ],
)
def test_folders_of_other_things_are_no_namespaces(tmp_path: Path, files: str) -> None:
    laid_out(tmp_path, files)
    assert packages_in(importable(tmp_path), tmp_path) == ()


def test_a_wrong_type_for_poetry_says_nothing(tmp_path: Path) -> None:
    laid_out(tmp_path, "src/tinyopt/__init__.py", "[tool.poetry]\npackages = true")
    assert prepared(tmp_path).path == tmp_path / "src"


# The user's own word.


def test_a_path_that_is_given_goes_before_all_that_is_found(tmp_path: Path) -> None:
    laid_out(
        tmp_path,
        "src/other/__init__.py a/b/tinyopt/__init__.py lib/third/__init__.py",
        "[tool.setuptools.packages.find]\nwhere = ['lib']",
    )
    assert prepared(tmp_path).packages == ("third",)
    for path in ("a/b", "a/b/", "./a/b"):
        tree = prepared(tmp_path, path)
        assert (tree.path, tree.packages) == (tmp_path / "a" / "b", ("tinyopt",))
    assert prepared(tmp_path, "src").packages == ("other",)


@pytest.mark.parametrize("path", ["nowhere", "src/nowhere", "setup.py", "x" * 300])
def test_a_path_that_is_no_folder_is_refused(tmp_path: Path, path: str) -> None:
    laid_out(tmp_path, "src/tinyopt/__init__.py setup.py")
    with pytest.raises(SourceError) as refused:
        importable(tmp_path, path)
    assert str(refused.value) == f"--path {path}: no such folder in {tmp_path}"


@pytest.mark.parametrize("path", ["{}/working/src", "../working/src", ".."])
def test_a_path_out_of_the_checkout_is_refused(tmp_path: Path, path: str) -> None:
    # Else both sides are the same files, and all is found to be equal.
    laid_out(tmp_path, "working/src/tinyopt/__init__.py checkout/src/tinyopt/__init__.py")
    path = path.format(tmp_path)
    with pytest.raises(SourceError) as refused:
        importable(tmp_path / "checkout", path)
    assert str(refused.value) == (
        f"--path {path} leads out of {tmp_path / 'checkout'}: it names the folder that packages "
        "are in, from the top of each side's own checkout, such as src"
    )


def test_a_link_out_of_the_checkout_is_no_folder_of_it(tmp_path: Path) -> None:
    laid_out(tmp_path, "working/src/tinyopt/__init__.py checkout/other/__init__.py")
    (tmp_path / "checkout" / "src").symlink_to(tmp_path / "working" / "src")
    with pytest.raises(SourceError, match="leads out of"):
        importable(tmp_path / "checkout", "src")
    assert importable(tmp_path / "checkout") == tmp_path / "checkout"
    (tmp_path / "checkout" / "pyproject.toml").write_text(
        "[tool.setuptools.package-dir]\n'' = '../working/src'"
    )
    assert importable(tmp_path / "checkout") == tmp_path / "checkout"


def test_a_link_to_a_checkout_may_be_named(tmp_path: Path) -> None:
    laid_out(tmp_path, "checkout/src/tinyopt/__init__.py")
    (tmp_path / "link").symlink_to(tmp_path / "checkout")
    assert importable(tmp_path / "link", "src") == tmp_path / "link" / "src"


def test_a_path_without_a_package_is_refused_with_the_way_to_name_one(tmp_path: Path) -> None:
    laid_out(tmp_path, "src/tinyopt/__init__.py data/x.csv tests/__init__.py")
    with pytest.raises(SourceError) as refused:
        prepared(tmp_path, "data")
    assert str(refused.value) == (
        f"dir:{tmp_path}: no package in {tmp_path / 'data'}; "
        "--path names the folder that they are in"
    )


def test_a_folder_of_tests_only_has_no_package(tmp_path: Path) -> None:
    laid_out(tmp_path, "tests/__init__.py setup.py README.md")
    assert packages_in(importable(tmp_path), tmp_path) == ()
    with pytest.raises(SourceError, match="no package in"):
        prepared(tmp_path)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere", laid_out(tmp_path, "file") / "file"):
        with pytest.raises(SourceError, match="no such folder"):
            prepared(path)
    for text in ("~nobody-here/tinyopt", "x" * 300):
        with pytest.raises(SourceError, match="no such folder"):
            prepare(parse(f"dir:{text}"), tmp_path / "unused")


def test_a_folder_may_be_named_from_home_and_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    laid_out(tmp_path / "ÄÖ with space", "tinyopt/__init__.py")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for text in ("~/ÄÖ with space", "ÄÖ with space", "./ÄÖ with space/../ÄÖ with space"):
        tree = prepare(parse(f"dir:{text}"), tmp_path / "unused")
        assert (tree.label, tree.path) == (f"dir:{text}", tmp_path / "ÄÖ with space")
