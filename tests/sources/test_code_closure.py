"""Equal digests mean equal code: of a module, what it imports, and the packages it is in."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from pathlib import Path

import pytest

from optbench.sources.closure import digest

ADAM = "tinyopt.adam"

PACKAGE = {
    "tinyopt/__init__.py": "from tinyopt.adam import Adam\nfrom tinyopt.sgd import Sgd\n",
    "tinyopt/adam.py": "from tinyopt.base import Base\n\nclass Adam(Base):\n    pass\n",
    "tinyopt/base.py": "from .constants import EPS\n\nclass Base:\n    eps = EPS\n",
    "tinyopt/constants.py": "EPS = 1e-8\n",
    "tinyopt/sgd.py": "class Sgd:\n    pass\n",
}
"""A parent that imports everything, and a module that needs a part of it."""


def code(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


def package(root: Path, **modules: str) -> Path:
    """The package, with these texts in place of its modules' own, or beside them."""
    own = {f"tinyopt/{name.replace('__of__', '/')}.py": text for name, text in modules.items()}
    return code(root, PACKAGE | own)


def changes(root: Path, name: str, text: str = "\nCHANGED = True\n", module: str = ADAM) -> bool:
    """Whether a file's change changes a module's digest."""
    before = digest(root, module)
    assert len(before) == 64  # else there is nothing that could change
    file = root / "tinyopt" / name
    whole = file.read_text("utf-8")
    file.write_text(whole + text, "utf-8")
    after = digest(root, module)
    file.write_text(whole, "utf-8")
    assert digest(root, module) == before
    return after != before


def runs_differently(root: Path, name: str, module: str = ADAM) -> bool:
    """Whether Python runs a file when it imports a module: asked of Python itself."""
    file = root / "tinyopt" / name
    whole = file.read_text("utf-8")
    file.write_text(whole + "\nprint('ran')\n", "utf-8")
    command = [sys.executable, "-I", "-B", "-c", f"import sys; sys.path.insert(0, {str(root)!r})"]
    command[-1] += f"; import {module}"
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    file.write_text(whole, "utf-8")
    return "ran" in ended.stdout


def test_equal_code_in_two_places_has_one_digest(tmp_path: Path) -> None:
    one, other = package(tmp_path / "one"), package(tmp_path / "ÄÖ with space" / "other")
    (other / "tinyopt" / "__pycache__").mkdir()
    (other / "README.md").write_text("more")
    assert digest(one, ADAM) == digest(other, ADAM) != ""
    assert digest(one, "tinyopt.sgd") != digest(one, ADAM)


@pytest.mark.parametrize("name", ["adam.py", "base.py", "constants.py", "__init__.py"])
def test_whatever_the_module_runs_counts(tmp_path: Path, name: str) -> None:
    root = package(tmp_path)
    assert runs_differently(root, name)
    assert changes(root, name)


def test_a_space_at_the_end_of_a_line_counts(tmp_path: Path) -> None:
    assert changes(package(tmp_path), "constants.py", " ")


def test_a_neighbour_does_not_count_even_where_the_parent_imports_it(tmp_path: Path) -> None:
    root = package(tmp_path)
    assert runs_differently(root, "sgd.py")  # but nothing that adam reads
    assert not changes(root, "sgd.py")
    assert changes(root, "sgd.py", module="tinyopt.sgd")


def test_of_a_module_that_asks_the_package_all_counts_that_the_package_imports(
    tmp_path: Path,
) -> None:
    for number, line in enumerate(
        ("from tinyopt import Sgd", "import tinyopt", "from . import Sgd", "from tinyopt import *")
    ):
        root = package(tmp_path / str(number), adam=f"{line}\nclass Adam: pass\n")
        assert changes(root, "sgd.py"), line


@pytest.mark.parametrize(
    "text",
    [
        "from tinyopt.helper import help",
        "from tinyopt import helper",
        "from . import helper",
        "from .helper import help",
        "from .helper import *",
        "import tinyopt.helper as other",
        "import math, tinyopt.helper as other",
        "from tinyopt.helper import (\n    help as other,\n    Help,\n)",
        "def late():\n    from .helper import help",
        "class Adam:\n    def step(self):\n        import tinyopt.helper as other",
        "try:\n    import nowhere\nexcept ImportError:\n    from . import helper",
        "if False:\n    from . import helper",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .helper import Help",
        "match 1:\n    case 1:\n        from . import helper",
        "async def late():\n    async with a:\n        from . import helper",
        "# coding: latin-1\nfrom . import helper",
    ],
)
def test_every_way_to_import_is_followed(tmp_path: Path, text: str) -> None:
    root = package(tmp_path, adam=text + "\n", helper="class Help: pass\ndef help(): pass\n")
    assert changes(root, "helper.py")
    assert not changes(root, "sgd.py")


def test_relative_imports_are_followed_up_and_down(tmp_path: Path) -> None:
    root = code(
        tmp_path,
        {
            "tinyopt/__init__.py": "",
            "tinyopt/constants.py": "EPS = 1\n",
            "tinyopt/sgd.py": "",
            "tinyopt/deep/__init__.py": "from .down import x\n",
            "tinyopt/deep/down.py": "from ..constants import EPS\nx = EPS\n",
            "tinyopt/deep/adam.py": "from . import x\n",
            "tinyopt/deep/further/__init__.py": "from ... import constants\n",
        },
    )
    deep = "tinyopt.deep.adam"
    for name in ("deep/adam.py", "deep/__init__.py", "deep/down.py", "constants.py", "__init__.py"):
        assert changes(root, name, module=deep), name
    assert not changes(root, "sgd.py", module=deep)
    assert changes(root, "constants.py", module="tinyopt.deep.further")
    assert changes(root, "deep/__init__.py", module="tinyopt.deep.further")
    assert not changes(root, "deep/down.py", module="tinyopt.deep.further")


def test_a_package_is_a_module_too(tmp_path: Path) -> None:
    root = package(tmp_path)
    for name in ("__init__.py", "sgd.py", "constants.py"):
        assert changes(root, name, module="tinyopt")


def test_packages_without_an_init_are_walked_through(tmp_path: Path) -> None:
    root = code(
        tmp_path,
        {
            "tinyopt/adam.py": "from . import base\nfrom tinyopt.deep import helper\n",
            "tinyopt/base.py": "",
            "tinyopt/deep/helper.py": "",
            "tinyopt/sgd.py": "",
        },
    )
    assert changes(root, "base.py")
    assert changes(root, "deep/helper.py")
    assert not changes(root, "sgd.py")


def test_a_helper_s_parent_counts(tmp_path: Path) -> None:
    root = code(
        package(tmp_path, adam="from other.part import x\n"),
        {"other/__init__.py": "", "other/part.py": "x = 1\n", "other/rest.py": ""},
    )
    assert changes(root, "../other/__init__.py")
    assert changes(root, "../other/part.py")
    assert not changes(root, "../other/rest.py")


def test_modules_that_import_each_other_come_to_an_end(tmp_path: Path) -> None:
    root = package(tmp_path, adam="from . import base\n", base="from . import adam\n")
    assert changes(root, "base.py")


def test_a_module_that_goes_or_comes_counts(tmp_path: Path) -> None:
    text = "try:\n    from . import fast\nexcept ImportError:\n    fast = None\n"
    root = package(tmp_path, adam=text)
    before = digest(root, ADAM)
    (root / "tinyopt" / "fast.py").write_text("")
    assert digest(root, ADAM) != before


def test_bytes_that_change_their_file_count(tmp_path: Path) -> None:
    text = "from . import c, d\n"
    one = package(tmp_path / "one", adam=text, c="X = 1\n", d="Y = 1\n")
    other = package(tmp_path / "other", adam=text, c="X = 1\nY = 1\n", d="")
    swapped = package(tmp_path / "swapped", adam=text, c="Y = 1\n", d="X = 1\n")
    assert len({digest(each, ADAM) for each in (one, other, swapped)}) == 3


# Where reading cannot tell.


@pytest.mark.parametrize(
    "text",
    [
        "import importlib\nbase = importlib.import_module('tinyopt.' + 'base')",
        "import importlib as i\ndef late(name):\n    return i.import_module(name)",
        "base = __import__('tinyopt.base')",
        "load = __import__",
    ],
)
def test_computed_imports_have_no_digest(tmp_path: Path, text: str) -> None:
    assert digest(package(tmp_path / "own", adam=text), ADAM) == ""
    assert digest(package(tmp_path / "helper", constants=text), ADAM) == ""
    # Of a neighbour they are none of the module's business.
    assert digest(package(tmp_path / "neighbour", sgd=text), ADAM) != ""


@pytest.mark.parametrize(
    "text",
    [
        "from importlib import import_module\nbase = import_module('tinyopt.' + 'base')",
        "import builtins\nbase = builtins.__import__('tinyopt.base')",
        "from builtins import __import__ as load\nbase = load('tinyopt.base')",
        "import importlib as i\nbase = getattr(i, 'import_' + 'module')('tinyopt.base')",
        "exec('import tinyopt.base')",
        "eval('__imp' + 'ort__')('tinyopt.base')",
        "import runpy\nbase = runpy.run_module('tinyopt.base')",
        "import pkgutil\nbase = pkgutil.resolve_name('tinyopt.base')",
        "import os, sys\nsys.path.append(os.path.dirname(__file__))\n"
        "import constants, tinyopt.base",
        "import sys, tinyopt.sgd as other\nbase = other.load('tinyopt.base')",
    ],
)
def test_computed_imports_have_no_digest_by_other_names_either(tmp_path: Path, text: str) -> None:
    sgd = "from importlib import import_module as load\n"
    root = package(tmp_path, __init__="", adam=text, sgd=sgd)
    if not runs_differently(root, "base.py"):
        pytest.fail("it imports nothing")
    assert digest(root, ADAM) == ""


@pytest.mark.parametrize(
    "text",
    [
        "def step(model): model.eval()",
        "import importlib.metadata\nVERSION = importlib.metadata.version('torch')",
        "import importlib.util\nFOUND = importlib.util.find_spec('triton') is not None",
        "import os, sys\nHOME = os.path.sep + sys.platform",
    ],
)
def test_what_only_looks_like_a_computed_import_has_a_digest(tmp_path: Path, text: str) -> None:
    assert changes(package(tmp_path, adam=text), "adam.py")


@pytest.mark.parametrize(
    "text", ["import sys\nsys.path.append('.')", "__path__.append('.')", "from sys import modules"]
)
def test_a_parent_that_says_where_python_looks_leaves_no_digest(tmp_path: Path, text: str) -> None:
    assert digest(package(tmp_path, __init__=text), ADAM) == ""


@pytest.mark.parametrize(
    "text", ["def broken(:\n", "x = 1\n  y = 2\n", "\0", "# coding: klingon\n"]
)
def test_what_does_not_parse_has_no_digest(tmp_path: Path, text: str) -> None:
    assert digest(package(tmp_path / "own", adam=text), ADAM) == ""
    assert digest(package(tmp_path / "helper", constants=text), ADAM) == ""


def test_bytes_that_are_no_text_have_no_digest(tmp_path: Path) -> None:
    root = package(tmp_path)
    (root / "tinyopt" / "constants.py").write_bytes(b"EPS = '\xff'\n")
    assert digest(root, ADAM) == ""


def test_a_module_that_is_not_there_has_no_digest(tmp_path: Path) -> None:
    root = package(tmp_path)
    for module in ("nowhere", "tinyopt.nowhere", "math", "tinyopt.adam.Adam"):
        assert digest(root, module) == ""


@pytest.mark.parametrize("suffix", [EXTENSION_SUFFIXES[0], ".abi3.so", ".cp311-win_amd64.pyd"])
def test_compiled_modules_have_no_digest(tmp_path: Path, suffix: str) -> None:
    text = "from tinyopt import kernel\n"
    root = package(tmp_path, adam=text, sgd="import math\n")
    (root / "tinyopt" / f"kernel{suffix}").touch()  # what is in it must not matter
    assert digest(root, ADAM) == ""
    assert digest(root, "tinyopt.kernel") == ""
    assert digest(root, "tinyopt.sgd") != ""


@pytest.mark.parametrize(
    "file",
    [
        "kernel.so",
        f"constants{EXTENSION_SUFFIXES[0]}",
        f"kernel/__init__{EXTENSION_SUFFIXES[0]}",
        "kernel.pyc",
        f"__init__{EXTENSION_SUFFIXES[0]}",
    ],
    ids=["plain suffix", "beside its source", "package", "bytecode", "parent"],
)
def test_compiled_modules_have_no_digest_wherever_python_finds_them(
    tmp_path: Path, file: str
) -> None:
    root = package(tmp_path, adam="from tinyopt import constants, kernel\n")
    compiled = root / "tinyopt" / file
    compiled.parent.mkdir(exist_ok=True)
    compiled.touch()
    name = Path(file).parts[0].partition(".")[0]
    found = (
        PathFinder.find_spec("tinyopt", [str(root)])
        if name == "__init__"
        else PathFinder.find_spec(f"tinyopt.{name}", [str(root / "tinyopt")])
    )
    if found is None or found.origin != str(compiled):
        pytest.fail("Python takes another")
    assert digest(root, ADAM) == ""


# What runs without being followed.


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        ("from tinyopt.hidden import EPS", "import tinyopt.base\nprint(tinyopt.EPS)"),
        ("from tinyopt.hidden import base", "from tinyopt import base\nprint(base)"),
        ("__all__ = ['hidden']", "from tinyopt import *\nprint(hidden.EPS)"),
        ("from tinyopt.hidden import EPS", "def late():\n    import tinyopt.base\nlate()"),
        ("from tinyopt.hidden import base", "import tinyopt.base as b\nprint(b)"),
        ("from .hidden import base as other\nbase = other", "from . import base"),
        ("from .hidden import *", "from . import base"),
        ("from . import hidden\ndef base(): pass", "from . import base"),
        ("from . import hidden\nclass base: pass", "from . import base"),
        ("import tinyopt.hidden as base", "from . import base"),
        ("from . import hidden\nglobals()['base'] = hidden.base", "from . import base"),
        ("from . import hidden\nimport tinyopt\ntinyopt.base = hidden", "from . import base"),
        ("from . import hidden\nfor base in (hidden,): pass", "from . import base"),
        ("from . import hidden\nmatch {'a': 1}:\n    case {**base}: pass", "from . import base"),
        ("from . import hidden\ndef __getattr__(name): return 1", "from . import base"),
    ],
)
def test_what_the_module_reads_through_its_package_counts(
    tmp_path: Path, parent: str, text: str
) -> None:
    root = package(tmp_path, __init__=parent, adam=text, hidden="EPS = base = 1\n")
    if not runs_differently(root, "hidden.py"):
        pytest.fail("it is not read")
    assert changes(root, "hidden.py")


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        ("from tinyopt.sgd import Sgd\nfrom . import base", "from . import base"),
        ("from tinyopt.sgd import Sgd\nfrom .base import Base", "from .base import Base"),
        ("from tinyopt.sgd import Sgd\nprint(Sgd.base)", "from tinyopt import base"),
        ("from tinyopt.sgd import *", "from tinyopt.base import *"),
        ("from tinyopt.sgd import Sgd as base", "from tinyopt.base import Base"),
        ("from tinyopt.sgd import Sgd", "import tinyopt.base as b\nprint(b.Base)"),
    ],
)
def test_a_package_of_which_nothing_is_asked_is_not_followed(
    tmp_path: Path, parent: str, text: str
) -> None:
    root = package(tmp_path, __init__=parent, adam=text)
    assert changes(root, "base.py")
    assert changes(root, "constants.py")
    assert changes(root, "__init__.py")
    assert not changes(root, "sgd.py")
