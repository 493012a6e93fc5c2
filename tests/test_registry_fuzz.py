"""Whatever is named as an optimizer or a problem: it is found, or refused in a line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzzing import HOSTILE, fuzzed, texts, works_or_is_refused
from hypothesis import example, given
from hypothesis import strategies as st

from optbench.optimizers import OPTIMIZERS
from optbench.problems import PROBLEMS

MODULES = {
    "hostile_lazy": "def __getattr__(name):\n    raise OSError('a\\n\\x1b[2Jb')\n",
    "hostile_skip": "class Skipped(BaseException): pass\nraise Skipped('no')\n",
    "hostile_exit": "import sys\nsys.exit('out\\nof here')\n",
    "hostile_text": (
        "class E(Exception):\n    def __str__(self): raise ValueError\n"
        "    __repr__ = __str__\nraise E\n"
    ),
    "hostile_long": "raise RuntimeError('x\\n' * 100_000)\n",
    "hostile_repr": (
        "class Odd:\n    def __repr__(self): raise ValueError\n    lr = 1\nodd = Odd()\n"
        "import torch\n"
        "class Sgd(torch.optim.SGD):\n    def __init__(self, params, lr=Odd()): raise odd\n"
        "class Meta(type):\n    @property\n    def __signature__(cls): raise OSError('no')\n"
        "class Unsigned(torch.optim.SGD, metaclass=Meta): pass\n"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def modules(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("modules")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(text)
        (folder / f"{name}_package").mkdir()
        (folder / f"{name}_package" / "__init__.py").write_text(text)
    sys.path.insert(0, str(folder))
    yield
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.startswith("hostile_")]:
        del sys.modules[name]


# Only modules that are known to be harmless: to import another one runs it.
modules_named = st.sampled_from([*MODULES, *(f"{name}_package.x" for name in MODULES), "torch"])
attributes = st.sampled_from(
    ["Sgd", "odd", "Unsigned", "Odd", "x.y", "__class__", "optim", ".", ""]
)
catalogued = st.sampled_from(["adam", "ADAM[fused]", "sgd", "beale", "quadratic"])
targets = st.one_of(
    texts.filter(lambda text: not text.replace(".", "").isidentifier()),
    st.tuples(modules_named, st.sampled_from([":", ".", "::", "/", ","]), attributes).map("".join),
    st.tuples(catalogued, st.text("*?[]ab", max_size=8)).map("".join),
    st.text("*?[]!-a", max_size=30),
)


@fuzzed(200)
@given(target=targets)
@example("hostile_lazy:x")
@example("hostile_skip:x")
@example("hostile_exit:x")
@example("hostile_text:x")
@example("hostile_long:x")
@example("hostile_skip_package.x")
@example("hostile_lazy_package.x:y")
@example("hostile_repr:Sgd")
@example("hostile_repr:odd")
@example("hostile_repr:Unsigned")
@example("a" * 100_000)
@example("a" * 100_000 + ":b")
@example("torch:" + "a" * 100_000)
@example("*a" * 40 + "b")
def test_any_target(target: str) -> None:
    for registry in (OPTIMIZERS, PROBLEMS):
        refusal = works_or_is_refused(lambda registry=registry: registry.select(target))
        if ":" in target:
            refused_again = works_or_is_refused(lambda registry=registry: registry[target])
            assert bool(refused_again) is bool(refusal)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_never_found_and_never_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (text, f"{text}:x", f"torch:{text}", f"{text}*"):
        assert works_or_is_refused(lambda name=name: OPTIMIZERS.select(name)) or name == "*"
    assert list(tmp_path.iterdir()) == []
