"""A result is used again only where the same would come out."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optbench.engine import identity
from optbench.engine.identity import _code_of, code_of, key, keys
from optbench.engine.runs import Run, canonical
from optbench.optimizers import OPTIMIZERS

RUN = Run("adam", (("betas", (0.9, 0.99)), ("lr", 0.1)), "quadratic", 1, "none", 0, 100)

FROZEN = [
    "58935f74b0891f54cd59e8a49fe3b3b8",
    "a4dfd4fa6c03b25c4fb06adeb820650d",
    "8d569cb810230890e5bb77e1ec671ead",
    "ab71bd523a38e45c5d10982de2b3e859",
]
"""Made before `keys` was there; they change with `ENGINE_VERSION` alone."""

OPTIMIZER = """
import torch
from somebodys_package.rules import scale

class Scaled(torch.optim.SGD):
    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=scale(lr))

def make(params, lr=0.1):
    return Scaled(params, lr=lr)
"""


@pytest.fixture(autouse=True)
def _no_code_is_remembered() -> Iterator[None]:
    _code_of.cache_clear()
    yield
    _code_of.cache_clear()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A third-party package whose optimizer's rule lies in another file of it."""
    folder = tmp_path / "somebodys_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("", "utf-8")
    (folder / "optimizer.py").write_text(OPTIMIZER, "utf-8")
    (folder / "rules.py").write_text("def scale(lr): return lr\n", "utf-8")
    (folder / "notes.txt").write_text("nothing that runs\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [n for n in sys.modules if n.partition(".")[0] == folder.name]:
        del sys.modules[name]
    for name in [n for n in OPTIMIZERS._adopted if n.startswith(folder.name)]:
        del OPTIMIZERS._adopted[name]
    importlib.invalidate_caches()


def test_a_key_is_32_hexadecimal_digits_and_the_same_each_time() -> None:
    assert key(RUN) == key(dataclasses.replace(RUN))
    assert len(key(RUN)) == 32
    int(key(RUN), 16)


def test_a_key_does_not_depend_on_the_order_of_hyperparameters() -> None:
    turned = dataclasses.replace(RUN, hyperparameters=RUN.hyperparameters[::-1])
    assert key(turned) == key(RUN)


def test_keys_of_old_results_stay_what_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    # But for the code, which is that of the day: results in stores are found by these.
    monkeypatch.setattr(identity, "code_of", lambda optimizer: f"torch=2.13.0 source={optimizer}")
    odd = (("betas", (0.9, 0.99)), ("lr", 1e-05), ("nesterov", True), ("ö", None))
    scheduled = (("lr", 1.0), ("lr_schedule", "cosine"))
    assert (
        keys(
            [
                RUN,
                dataclasses.replace(RUN, seed=2**31 - 1),
                dataclasses.replace(RUN, hyperparameters=odd, dtype="bfloat16", device="cuda:1"),
                dataclasses.replace(RUN, optimizer="sgd", hyperparameters=scheduled),
            ]
        )
        == FROZEN
    )


def test_keys_of_many_runs_are_those_of_each() -> None:
    rng = np.random.default_rng(3)
    # 1 and 1.0 are equal, and other runs; a plan has one object for all seeds, a caller may not.
    settings = [(("lr", 1),), (("lr", 1.0),), (("lr", True),), (("lr", float("1")),)]
    runs = [
        dataclasses.replace(RUN, hyperparameters=one, seed=seed, **change)
        for one in settings
        for change in CHANGES
        if not {"hyperparameters", "seed"} & set(change)
        for seed in (0, 1, 10)
    ]
    for order in (range(len(runs)), rng.permutation(len(runs))):
        some = [runs[i] for i in order]
        assert keys(some) == [key(run) for run in some]
        assert keys(some) == [plain_key(run) for run in some]
    assert keys([]) == []


def plain_key(run: Run) -> str:
    """The definition, without any shortcut."""
    fields = {f.name: getattr(run, f.name) for f in dataclasses.fields(run) if f.name != "default"}
    fields |= {"hyperparameters": run.settings, "code": code_of(run.optimizer)}
    fields["engine"] = identity.ENGINE_VERSION
    return hashlib.sha256(canonical(fields).encode()).hexdigest()[:32]


def test_a_key_does_not_depend_on_the_league() -> None:
    assert key(dataclasses.replace(RUN, default=not RUN.default)) == key(RUN)


CHANGES: list[dict[str, Any]] = [
    {"optimizer": "adamw"},
    {"optimizer": "adam[foreach]"},
    {"hyperparameters": (("betas", (0.9, 0.99)), ("lr", 0.2))},
    {"hyperparameters": (("betas", (0.9, 0.999)), ("lr", 0.1))},
    {"hyperparameters": (("lr", 0.1),)},
    {"problem": "quadratic-ill"},
    {"problem_version": 2},
    {"data": "mnist-10k"},
    {"seed": 1},
    {"budget": 101},
    {"dtype": "float64"},
    {"device": "cuda"},
]


def test_a_key_changes_with_every_field() -> None:
    keys = [key(dataclasses.replace(RUN, **change)) for change in CHANGES]
    assert len({key(RUN), *keys}) == 1 + len(CHANGES)
    changed = {name for change in CHANGES for name in change}
    assert changed == {f.name for f in dataclasses.fields(Run)} - {"default"}


def test_a_key_changes_with_the_engines_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(RUN)
    monkeypatch.setattr(identity, "ENGINE_VERSION", identity.ENGINE_VERSION + 1)
    assert key(RUN) != before


def test_a_key_changes_with_torchs_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(RUN)
    monkeypatch.setattr("torch.__version__", "99.0")
    _code_of.cache_clear()
    assert key(RUN) != before
    assert "torch=99.0" in code_of("adam")


@pytest.mark.proof
@pytest.mark.parametrize("name", ["Scaled", "make"])
@pytest.mark.parametrize("file", ["optimizer.py", "rules.py"])
def test_a_key_changes_with_any_python_file_of_the_optimizers_package(
    package: Path, file: str, name: str
) -> None:
    path = f"{package.name}.optimizer:{name}"
    if name == "make":
        OPTIMIZERS._adopted[path] = dataclasses.replace(
            OPTIMIZERS[f"{package.name}.optimizer:Scaled"],
            factory=importlib.import_module(f"{package.name}.optimizer").make,
        )
    run = dataclasses.replace(RUN, optimizer=path, hyperparameters=(("lr", 0.1),))
    before, file_before = key(run), (package / file).read_text("utf-8")
    assert f"{package.name}=unpackaged" in code_of(path)
    for text, same in ((file_before + "# changed\n", False), (file_before, True)):
        (package / file).write_text(text, "utf-8")
        _code_of.cache_clear()
        assert (key(run) == before) is same
    (package / "notes.txt").write_text("other notes\n", "utf-8")
    _code_of.cache_clear()
    assert key(run) == before
    (package / "new_file.py").write_text("", "utf-8")
    assert key(run) == before, "what a process has read is its code until it ends"


def test_a_single_module_is_its_own_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lone_module.py").write_text(
        "import torch\nclass Mine(torch.optim.SGD): ...\n", "utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    try:
        before = code_of("lone_module:Mine")
        (tmp_path / "other_module.py").write_text("x = 1\n", "utf-8")
        _code_of.cache_clear()
        assert code_of("lone_module:Mine") == before
        with (tmp_path / "lone_module.py").open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        _code_of.cache_clear()
        assert code_of("lone_module:Mine") != before
    finally:
        sys.modules.pop("lone_module", None)
        OPTIMIZERS._adopted.pop("lone_module:Mine", None)


def test_our_own_optimizers_are_known_by_their_source(monkeypatch: pytest.MonkeyPatch) -> None:
    assert code_of("lion") != code_of("signum")
    assert code_of("sgd") == code_of("momentum"), "the same torch class"
    read = Path.read_bytes

    def changed(path: Path) -> bytes:
        return read(path) + (b"# changed" if path.name == "lion.py" else b"")

    old = {name: code_of(name) for name in ("lion", "signum")}
    _code_of.cache_clear()
    monkeypatch.setattr(Path, "read_bytes", changed)
    new = {name: code_of(name) for name in ("lion", "signum")}
    assert new["lion"] != old["lion"]
    assert new["signum"] == old["signum"]
