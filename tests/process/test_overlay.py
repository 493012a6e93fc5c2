"""A folder laid over a part of an installed package, in a Python begun for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from optbench.process import overlay
from optbench.process.overlay import reason_missing

INSTALLED = {
    "__init__.py": "__version__ = '1.0'\nfrom pkg import optim\nfrom pkg.optim import A, Old\n",
    "rest.py": "from pkg.optim.a import A\nWHERE = A.where\n",
    "optim/__init__.py": "from pkg.optim.a import A\nfrom pkg.optim.old import Old\n",
    "optim/a.py": "class A:\n    where = 'installed'\n",
    "optim/old.py": "class Old:\n    where = 'installed'\n",
}
LAID = {
    "__init__.py": "from pkg.optim.a import A\nfrom pkg.optim.b import B\n"
    "from pkg.optim.c import C\n",
    "a.py": "class A:\n    where = 'folder'\n",
    "b.py": "from pkg.rest import NOT_THERE\nclass B: pass\n",
}


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    for top, files in ((tmp_path / "site" / "pkg", INSTALLED), (tmp_path / "laid", LAID)):
        for name, text in files.items():
            file = top / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
    return tmp_path / "site", tmp_path / "laid"


def said(places: tuple[Path, Path], code: str, *, laid: bool = True) -> str:
    site, folder = places
    path = os.pathsep.join((str(site), str(Path(overlay.__file__).parents[2])))
    variables = overlay.environment("pkg.optim", folder) if laid else {}
    answer = subprocess.run(
        [sys.executable, "-c", f"import optbench.process.overlay\n{code}"],
        env={**os.environ, "PYTHONPATH": path, **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert not answer.returncode, answer.stderr
    return answer.stdout.strip()


def test_the_folder_stands_for_the_module_and_the_rest_is_as_installed(
    places: tuple[Path, Path],
) -> None:
    code = "import pkg, pkg.rest; print(pkg.A.where, pkg.rest.WHERE, pkg.__version__, pkg.__file__)"
    a, rest, version, file = said(places, code).split()
    assert (a, rest, version) == ("folder", "folder", "1.0")
    assert Path(file).is_relative_to(places[0])
    assert said(places, "import pkg; print(pkg.A.where)", laid=False) == "installed"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("B", "cannot be laid over the installed pkg 1.0: ImportError: cannot import name 'NOT_"),
        (
            "C",
            "laid over the installed pkg 1.0: ModuleNotFoundError: No module named 'pkg.optim.c'",
        ),
        ("Old", "there is no Old in this pkg.optim"),
    ],
)
def test_what_is_missing_is_told_to_whoever_uses_it_and_to_no_one_else(
    places: tuple[Path, Path], name: str, why: str
) -> None:
    use = f"try: pkg.optim.{name}()\nexcept ImportError as error: print(error)"
    assert why in said(places, f"import pkg\n{use}")


def test_a_name_that_nobody_has_is_an_attribute_error(places: tuple[Path, Path]) -> None:
    assert said(places, "import pkg; print(hasattr(pkg.optim, 'Nothing'))") == "False"


def test_placeholders_are_told_from_classes(places: tuple[Path, Path]) -> None:
    code = (
        "import pkg\nfrom optbench.process.overlay import reason_missing\n"
        "print([bool(reason_missing(each)) for each in (pkg.optim.A, pkg.optim.B, 3)])"
    )
    assert said(places, code) == "[False, True, False]"
    assert reason_missing(int) == ""


def test_it_is_laid_once(places: tuple[Path, Path]) -> None:
    code = (
        "import sys\nfrom optbench.process.overlay import install\ninstall()\n"
        "print(sum(type(each).__module__ == 'optbench.process.overlay' for each in sys.meta_path))"
    )
    assert said(places, code) == "1"
