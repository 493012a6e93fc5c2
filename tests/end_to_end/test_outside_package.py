"""An outside package with the test files of docs/contract-in-your-ci.md, as its authors have it."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

pytestmark = pytest.mark.proof

PAGE = Path(__file__).parents[2] / "docs" / "contract-in-your-ci.md"
BLOCK = re.compile(r"^```python\n(# (tests/\w+\.py)\n.*?)^```$", re.MULTILINE | re.DOTALL)

PYPROJECT = """
    [build-system]
    requires = ["setuptools"]
    build-backend = "setuptools.build_meta"

    [project]
    name = "my-optimizers"
    version = "0.1"
    dependencies = ["torch"]

    [tool.pytest.ini_options]
    addopts = "--strict-markers --strict-config"
    xfail_strict = true
    filterwarnings = ["error"]
"""

ADAM = '''
    import torch


    class MyAdam(torch.optim.Optimizer):
        """Kingma and Ba 2015, Algorithm 1, with weight decay added to the gradient."""

        def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
            if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
                raise ValueError(f"wrong value in {(lr, betas, eps, weight_decay)}")
            defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
            super().__init__(params, defaults)

        @torch.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                beta1, beta2 = group["betas"]
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state, grad = self.state[p], p.grad
                    if p.is_complex():
                        p, grad = torch.view_as_real(p), torch.view_as_real(grad)
                    if not state:
                        state["step"] = 0
                        state["m"] = torch.zeros_like(p)
                        state["v"] = torch.zeros_like(p)
                    state["step"] += 1
                    grad = grad.add(p, alpha=group["weight_decay"])
                    state["m"].mul_(beta1).add_(grad, alpha=1 - beta1)
                    state["v"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
                    m = state["m"] / (1 - beta1 ** state["step"])
                    v = state["v"] / (1 - beta2 ** state["step"])
                    p.addcdiv_(m, v.sqrt().add_(group["eps"]), value=-group["lr"])
            return loss
'''


class Package:
    """A checkout of theirs, and the folder that it is installed into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"

    def install(self) -> None:
        """Write the checkout, and install it."""
        self.write("pyproject.toml", dedent(PYPROJECT))
        self.write("src/my_optimizers/__init__.py", dedent(ADAM))
        for text, path in BLOCK.findall(PAGE.read_text("utf-8")):
            self.write(path, text)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        self.run(*pip, "--no-index", "--no-deps", "--no-build-isolation", "--target", "site", ".")

    def write(self, path: str, text: str) -> None:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text.lstrip(), "utf-8")

    def run(self, *command: str, code: int = 0) -> str:
        """Standard output of a command, which has to end with this code."""
        # PIP_: make names its constraints by a path from the checkout.
        ours = ("OPTBENCH_", "PYTEST_", "PIP_CONSTRAINT")
        env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(self.site), env.get("PYTHONPATH")]))
        ended = subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert ended.returncode == code, ended.stdout + ended.stderr
        return ended.stdout

    def pytest(self, *arguments: str, code: int = 0) -> str:
        return self.run(
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments, code=code
        )

    def change(self, right: str, wrong: str) -> None:
        """Put a mistake into what is installed."""
        source = self.site / "my_optimizers" / "__init__.py"
        text = source.read_text("utf-8")
        assert text.count(right) == 1
        source.write_text(text.replace(right, wrong), "utf-8")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Package:
    # Looked for and not imported: setuptools puts what it vendors on this process's sys.path.
    if importlib.util.find_spec("setuptools") is None:
        pytest.skip("setuptools, which builds the package, is not here")
    made = Package(tmp_path_factory.mktemp("theirs"))
    made.install()
    return made


@pytest.fixture
def package(installed: Package, tmp_path: Path) -> Package:
    """A copy, to be changed."""
    shutil.copytree(installed.folder, tmp_path, dirs_exist_ok=True)
    return Package(tmp_path)


def test_the_page_has_whole_test_files() -> None:
    paths = [path for _, path in BLOCK.findall(PAGE.read_text("utf-8"))]
    assert paths == ["tests/test_contract.py", "tests/test_rows.py", "tests/test_chosen.py"]


def test_their_suite_passes_with_every_file_of_the_page(package: Package) -> None:
    out = package.pytest("-rs", "tests/test_contract.py", "tests/test_chosen.py")
    (summary,) = re.findall("^optbench contract: .*$", out, re.MULTILINE)
    # MyAdam as a class, and as a string.
    assert summary.startswith("optbench contract: 2 optimizers, ")
    assert summary.endswith(" not applicable, 1 skipped")
    assert "failed" not in summary
    assert "its counter is an int8 on purpose" in out

    out = package.pytest("-m", "not optbench_slow", "tests/test_rows.py")
    assert "optbench contract: 1 optimizer, " in out


@pytest.mark.parametrize(
    ("right", "wrong", "check", "says"),
    [
        (
            'm = state["m"] / (1 - beta1 ** state["step"])',
            'm = state["m"].clone()',
            "follows_the_reference",
            "textbook-adam",
        ),
        (
            'grad = grad.add(p, alpha=group["weight_decay"])',
            "grad = p.grad",
            "every_hyperparameter_matters",
            "weight_decay",
        ),
    ],
    ids=["no bias correction", "decay ignored"],
)
def test_a_mistake_fails_the_check_that_names_it_and_can_be_shown_again(
    package: Package, right: str, wrong: str, check: str, says: str
) -> None:
    package.change(right, wrong)
    out = package.pytest("-k", f"test_contract and {check}", "tests/test_contract.py", code=1)
    # To the next failure, or to the summary: where $CI is set, that has the whole message again.
    failure = re.split(
        r"\n(?:___|===)", out.partition(f"test_contract[MyAdam-{check}]")[2], maxsplit=1
    )[0]
    assert says in failure
    assert "Traceback" not in failure
    assert "optbench/conformance" not in failure
    (line,) = re.findall("^to reproduce: (.*)$", failure, re.MULTILINE)
    program, *rest = shlex.split(line)
    assert program == "optbench"
    assert rest[:4] == ["check", "my_optimizers:MyAdam", "--only", check]
    again = package.run(str(Path(sys.executable).with_name(program)), *rest, code=1)
    assert says in again


def test_slower_convergence_is_told_with_the_numbers_of_every_seed(package: Package) -> None:
    # A rate that shrinks keeps most promises of the contract; it does not get through the valley.
    package.change('value=-group["lr"])', 'value=-group["lr"] / 4)')
    out = package.pytest("tests/test_contract.py", "-k", "valley", code=1)
    assert "asserted: median at most 1,100" in out
    assert len(re.findall(r"^E +seed \d: ", out, re.MULTILINE)) == 8
