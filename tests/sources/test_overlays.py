"""Trees of which one folder is laid over an installed package."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import pytest

from optbench.sources import SourceError, parse, pip, prepare
from optbench.sources.overlays import overlay_in, variables
from optbench.sources.tree import Tree


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    return folder


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Holds another ``json.tool``-like part of an installed package: of ``email``, its ``mime``."""
    files = {"email/__init__.py": "raise RuntimeError('half a package')\n",
             "email/mime/__init__.py": "LAID = True\n", "email/mime/text.py": ""}  # fmt: skip
    return write(tmp_path / "checkout", files)


@pytest.fixture(autouse=True)
def _nothing_else_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a side's process imports besides takes seconds; the proofs import it."""
    monkeypatch.setattr("optbench.sources.overlays.IMPORTED", ())


def test_only_the_folder_is_taken_and_the_note_says_so(checkout: Path, tmp_path: Path) -> None:
    tree = prepare(parse(f"dir:{checkout}"), tmp_path / "base", overlay="email.mime")
    assert tree.packages == ("email.mime",)
    assert [f.name for f in sorted(tree.path.rglob("*.py"))] == ["__init__.py", "text.py"]
    assert tree.note.startswith("its email.mime over the installed email")
    given = variables(tree)["OPTBENCH_OVERLAY"]
    assert given == f"email.mime={tree.path / 'email' / 'mime'}"
    assert variables(Tree("a", checkout, ("email",))) == {}


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("email", "name a package within an installed one, such as torch.optim"),
        ("email.../x", "name a package within an installed one"),
        ("email.nothing", "has no email.nothing: there is no package at"),
    ],
)
def test_what_cannot_be_laid_over_is_refused(
    checkout: Path, tmp_path: Path, module: str, why: str
) -> None:
    with pytest.raises(SourceError, match=why):
        prepare(parse(f"dir:{checkout}"), tmp_path / "base", overlay=module)


def test_one_with_which_the_package_does_not_import_is_refused_with_the_reason(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / "email/mime/__init__.py").write_text("import nothing_of_that_name\n", "utf-8")
    with pytest.raises(SourceError, match=r"cannot be laid over the installed email .*nothing_of_"):
        prepare(parse(f"dir:{checkout}"), tmp_path / "base", overlay="email.mime")


def test_a_checkout_of_pytorch_is_known_by_its_folder(tmp_path: Path) -> None:
    assert overlay_in(write(tmp_path / "a", {"torch/optim/__init__.py": ""})) == "torch.optim"
    assert overlay_in(write(tmp_path / "b", {"torch/optim.py": "", "mine.py": ""})) == ""


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    """A release that pip finds, without files as yet, and what pip is asked for."""
    monkeypatch.setenv("OPTBENCH_CACHE", str(tmp_path / "cache"))
    file, asked = tmp_path / "big-1.0-py3-none-any.whl", list[str]()

    def find(requirement: str) -> tuple[str, str]:
        asked.append(requirement)
        return file.as_uri(), "0" * 64

    monkeypatch.setattr(pip, "_wheel", find)
    return file, asked


def test_of_a_wheel_only_the_python_of_the_package_is_read(wheel: tuple[Path, list[str]]) -> None:
    release, asked = wheel
    with ZipFile(release, "w") as file:
        for name in ("big/__init__.py", "big/optim/__init__.py", "big/optim/sub/a.py"):
            file.writestr(name, "")
        file.writestr("big/optim/_c.so", "compiled")
    folder = pip.part_of("big==1.0", "big.optim")
    found = sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())
    assert found == ["big/optim/__init__.py", "big/optim/sub/a.py"]
    release.unlink()
    assert pip.part_of("big==1.0", "big.optim") == folder, "it stays in the cache"
    assert asked == ["big==1.0"] * 2


def test_a_wheel_without_the_package_is_refused_and_leaves_nothing(
    wheel: tuple[Path, list[str]], tmp_path: Path
) -> None:
    with ZipFile(wheel[0], "w") as file:
        file.writestr("big/__init__.py", "")
    with pytest.raises(SourceError, match=r"pip:big==1.0 has no big\.optim"):
        pip.part_of("big==1.0", "big.optim")
    assert not list((tmp_path / "cache" / "overlays").iterdir())


def test_a_requirement_is_told_from_a_folder_of_its_name() -> None:
    assert pip.names("torch==2.12.0", "torch")
    assert pip.names("Torch[opt]>=2", "torch")
    assert not pip.names("torchvision==1", "torch")
    assert not pip.names("./torch", "torch")
