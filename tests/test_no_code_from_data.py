"""What is read is data: nothing in the package makes code of it, but where it is said why."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "optbench"

RUNS_CODE = frozenset(
    (
        *("eval", "exec", "compile", "__import__", "execfile", "runpy"),
        *("pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle"),
        *("read_pickle", "import_module", "spec_from_file_location", "exec_module", "load_module"),
        *("os.system", "os.popen", "commands", "shell=", "yaml.load", "yaml.unsafe_load"),
        *("torch.load", "np.load", "numpy.load", "ET", "extractall", "tarfile", "zipfile"),
        *("unpack_archive", "ctypes", "allow_pickle", "multiprocessing.connection.Listener"),
    )
)

ALLOWED = {
    ("__init__.py", "import_module"): "a module of ours, from a table of two",
    ("by_value.py", "cloudpickle"): "as below",
    ("by_value.py", "pickle"): "a class of a notebook, from the process that it is defined in",
    ("comparison/imports.py", "__import__"): "the tree that is compared: that is what it is for",
    ("comparison/imports.py", "import_module"): "as above",
    ("scenarios/introspect.py", "import_module"): "the target that is checked",
    ("conformance/distributed.py", "pickle"): "whether what two processes are sent can be sent",
    ("conformance/persistence.py", "pickle"): "an optimizer of this process, there and back",
    ("scenarios/session.py", "torch.load"): "weights only, of what this process has saved",
    ("scenarios/schedulers.py", "torch.load"): "the state of a scheduler that this process saved",
    ("process/overlay.py", "spec_from_file_location"): "the tree that is compared, as above",
    ("process/overlay.py", "exec_module"): "as above",
    ("sources/pip.py", "zipfile"): "Python files of a wheel, which a comparison imports",
    ("process/worker.py", "import_module"): "what the coordinator has it serve: ours, too",
    ("process/worker.py", "pickle"): "what the process that began it gave it, as Python's own does",
    ("nightly/config.py", "import_module"): "the repository's own optimizers, as it names them",
    ("problems/mnist.py", "np.load"): "without pickles, and the arrays' sha256 are known",
    ("problems/mnist.py", "allow_pickle"): "set to False, where it stands",
    ("registry.py", "import_module"): "package.module:Name is imported: SECURITY.md says so",
    ("runner/dask_cluster.py", "pickle"): "Dask's own messages are pickles: SECURITY.md says so",
    (
        "scenarios/perform.py",
        "torch.load",
    ): "weights only, of what this process or the base saved",
    ("sources/cache.py", "import_module"): "fcntl, which Windows lacks",
    ("asv/convergence_runs.py", "import_module"): "the modules of the optimizers that asv tracks",
}
"""Where in the package, and why; everything else is a finding."""


def name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def findings(source: str) -> Iterator[tuple[str, int]]:
    """What a file names that makes code of data, and where."""
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        match node:
            case ast.Import(names=aliases):
                names = [alias.name for alias in aliases]
            case ast.ImportFrom(module=module, names=aliases):
                names = [str(module), *(f"{module}.{each.name}" for each in aliases)]
                names += [each.name for each in aliases]
            case ast.Call(func=function, keywords=keywords):
                full = name_of(function)
                names = [full, full.rpartition(".")[2] if full != "re.compile" else ""]
                names += [str(word.arg) for word in keywords]
                shells = (word.value for word in keywords if word.arg == "shell")
                names += ["shell=" for value in shells if getattr(value, "value", 1) is not False]
            case ast.Attribute():
                names = [name_of(node)]
        # ``model.eval()`` and ``re.compile`` are no functions of Python's.
        harmless = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        for name in names:
            if name in RUNS_CODE and not (harmless and name in ("eval", "compile", "exec")):
                yield name, getattr(node, "lineno", 0)


def test_nothing_is_unpickled_or_evaluated_but_where_it_is_said_why() -> None:
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        place = file.relative_to(PACKAGE).as_posix()
        for name, line in findings(file.read_text("utf-8")):
            found[place, name] = f"{place}:{line}: {name}"
    assert sorted(text for key, text in found.items() if key not in ALLOWED) == []
    assert sorted(key for key in ALLOWED if key not in found) == [], "no longer there"


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "import pickle",
        "from pickle import loads",
        "import pickle as p",
        "torch.load(f)",
        "from torch import load\ntorch.load",
        "np.load(f, allow_pickle=True)",
        "subprocess.run(c, shell=True)",
        "subprocess.run(c, shell=flag)",
        "yaml.load(f)",
        "pd.read_pickle(f)",
        "__import__(name)",
        "importlib.import_module(name)",
        "tarfile.open(f).extractall(folder)",
        "os.system(c)",
        "x = marshal.loads; import marshal",
    ],
)
def test_the_search_can_find(source: str) -> None:
    assert list(findings(source))


@pytest.mark.parametrize(
    "source",
    ["model.eval()", "re.compile('x')", "ast.literal_eval(text)", "subprocess.run(['git'])",
     "subprocess.run(c, shell=False)", "json.loads(text)"],
)  # fmt: skip
def test_the_search_leaves_the_harmless(source: str) -> None:
    assert not list(findings(source))


def test_what_is_loaded_is_loaded_without_pickles() -> None:
    for place, call, word, value in (
        ("problems/mnist.py", "np.load", "allow_pickle", False),
        ("scenarios/session.py", "torch.load", "weights_only", True),
        ("scenarios/perform.py", "torch.load", "weights_only", True),
    ):
        calls = [
            node
            for node in ast.walk(ast.parse((PACKAGE / place).read_text("utf-8")))
            if isinstance(node, ast.Call) and name_of(node.func) == call
        ]
        assert calls
        for each in calls:
            given = {k.arg: getattr(k.value, "value", None) for k in each.keywords}
            assert given.get(word) is value, f"{place}:{each.lineno}"
