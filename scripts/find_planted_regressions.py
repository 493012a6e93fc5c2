"""Ten commits with two regressions planted: do asv and ``optbench history`` name them alone?

    python scripts/find_planted_regressions.py FOLDER

makes a repository of a small package in FOLDER, whose 6th commit breaks Adam's convergence and
whose 8th makes SGD's step 1.5 times dearer, by construction; the others rewrite without a change.
Then `asv run` over all ten, and `optbench history`. asv's environments see the packages of the
running one, so that they are made in seconds. Exit status 0 if the 6th and the 8th, and no other
commit, are named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
from pathlib import Path

PACKAGE = '''
import time

import torch


class Adam(torch.optim.Optimizer):
    """Adam, written out."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state.update(step=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                state["step"] += 1
                m, v = state["m"], state["v"]
                m.mul_(beta1).add_(p.grad, alpha=1 - beta1)
                v.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                scale = 1 - beta1 ** state["step"]
                root = (v / (1 - beta2 ** state["step"])).sqrt().add_(group["eps"])
                p.addcdiv_(m / scale, root, value=-group["lr"])


class Momentum(torch.optim.Optimizer):
    """Heavy ball, written out."""

    def __init__(self, params, lr=1e-2, momentum=0.9):
        super().__init__(params, dict(lr=lr, momentum=momentum))

    @torch.no_grad()
    def step(self, closure=None):
        begun = time.perf_counter()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["buffer"] = torch.zeros_like(p)
                state["buffer"].mul_(group["momentum"]).add_(p.grad)
                p.add_(state["buffer"], alpha=-group["lr"])
        DEARER
'''

PLAIN = PACKAGE.replace("        begun = time.perf_counter()\n", "").replace("        DEARER\n", "")

DEARER = PACKAGE.replace(
    "DEARER",
    "end = time.perf_counter() + 0.5 * (time.perf_counter() - begun)\n"
    "        while time.perf_counter() < end:\n            pass",
)

WRONG = ("value=1 - beta2", "value=1 - beta1")
"""The second moment decays by the one rate and is fed by the other: it ends a hundred times too
large, and the steps a tenth as long."""

REFACTORINGS = (
    (("Adam, written out.", "Adam (Kingma and Ba 2015), written out."),),
    (("scale = 1 - beta1", "correction = 1 - beta1"), ("m / scale", "m / correction")),
    (("root = (v", "denominator = (v"), (", root,", ", denominator,")),
    (("Heavy ball", "The heavy ball"),),
    (("dict(lr=lr, betas=betas, eps=eps)", '{"lr": lr, "betas": betas, "eps": eps}'),),
    (("m.mul_(beta1).add_(p.grad, alpha=1 - beta1)", "m.lerp_(p.grad, 1 - beta1)"),),
    (("dict(lr=lr, momentum=momentum)", '{"lr": lr, "momentum": momentum}'),),
)
"""Each a few replacements; one of them rounds otherwise."""

BENCHMARKS = """
from optbench import asv

NAMES = ("tinyopt:Adam", "tinyopt:Momentum")


class Convergence(asv.Convergence):
    params = (NAMES, ("quadratic", "quadratic-ill-rotated", "rosenbrock-2d", "noisy-quadratic"))

    def setup_cache(self):
        return self.train()


class RelativeStep(asv.RelativeStep):
    params = (NAMES, (1_000, 1_000_000))


class Step(asv.Step):
    params = (NAMES, (1_000, 1_000_000), (10,))


class Memory(asv.Memory):
    params = (NAMES,)
"""

PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "tinyopt"
version = "1.0"

[tool.setuptools]
py-modules = ["tinyopt"]
"""

CONFIGURATION = {
    "version": 1,
    "project": "tinyopt",
    "repo": ".",
    "branches": ["HEAD"],
    "environment_type": "virtualenv",
    "matrix": {"env_nobuild": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}},
    "build_command": [
        "python -m pip wheel --no-deps --no-build-isolation -w {build_cache_dir} {build_dir}"
    ],
    "install_command": ["in-dir={env_dir} python -m pip install --no-deps {wheel_file}"],
    "env_dir": ".asv/env",
    "results_dir": ".asv/results",
    "html_dir": ".asv/html",
    "launch_method": "forkserver",
}


PLACES = (Path(sysconfig.get_paths()["purelib"]), Path(__file__).resolve().parents[1])
"""Of what is installed here, and of optbench."""

LEAD = """\
import pathlib, sysconfig
pathlib.Path(sysconfig.get_path("purelib"), "here.pth").write_text({places!r})
"""


def contents() -> list[tuple[str, str]]:
    """Ten commits: the subject and the module."""
    module, found = PLAIN, [("1: the package", PLAIN)]
    waiting = list(REFACTORINGS)
    for number in range(2, 11):
        if number == 6:
            module, subject = module.replace(*WRONG), "6: the planted convergence regression"
        elif number == 8:
            adam = module.partition("class Momentum")[0]
            slow = DEARER.partition("class Momentum")[2]
            module, subject = f"{adam}class Momentum{slow}", "8: the planted slowdown"
        else:
            subject = f"{number}: a refactoring"
            for old, new in waiting.pop(0):
                module = module.replace(old, new)
        assert module != found[-1][1], subject
        found.append((subject, module))
    return found


def make(folder: Path) -> list[str]:
    """The repository; gives the commits."""
    folder.mkdir(parents=True)
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").touch()
    (folder / "benchmarks" / "optimizers.py").write_text(BENCHMARKS, "utf-8")
    configuration = dict(CONFIGURATION)
    # The variable that asv has for this, ASV_PYTHONPATH, its benchmarks do not see.
    lead = folder / ".asv" / "lead_here.py"
    lead.parent.mkdir()
    lead.write_text(LEAD.format(places="\n".join(map(str, PLACES))), "utf-8")
    configuration["install_command"] = [*CONFIGURATION["install_command"], f"python '{lead}'"]
    (folder / "asv.conf.json").write_text(json.dumps(configuration, indent=4), "utf-8")
    (folder / "pyproject.toml").write_text(PROJECT, "utf-8")
    (folder / ".gitignore").write_text(".asv/\n__pycache__/\nbuild/\n*.egg-info/\n", "utf-8")
    command(folder, "git", "init", "--quiet", "--initial-branch", "main")
    command(folder, "git", "config", "user.name", "A Maker")
    command(folder, "git", "config", "user.email", "maker@example.org")
    for subject, module in contents():
        (folder / "tinyopt.py").write_text(module, "utf-8")
        command(folder, "git", "add", "--all")
        command(folder, "git", "commit", "--quiet", "--message", subject)
    return command(folder, "git", "rev-list", "--reverse", "HEAD").split()


def command(folder: Path, *arguments: str) -> str:
    """What a command says; its errors go to the screen."""
    done = subprocess.run(arguments, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stdout}")
    return done.stdout


def main() -> None:
    """Make, run, look."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="to be made")
    folder = parser.parse_args().folder.resolve()
    commits = make(folder)
    binaries = Path(sys.executable).parent
    command(folder, str(binaries / "asv"), "machine", "--yes")
    told = command(folder, str(binaries / "asv"), "run", "--record-samples", "ALL")
    (folder / "asv.log").write_text(told, "utf-8")
    print(command(folder, str(binaries / "optbench"), "history", "--all"))
    code = (
        "import json, sys; from pathlib import Path;"
        "from optbench.tracking.repository_history import load_history;"
        "found = load_history(Path('.'), store=None, asv=Path('.asv/results')).history.changes;"
        "json.dump(sorted({(c.likely, str(c.kind)) for c in found}), sys.stdout)"
    )
    named = json.loads(command(folder, sys.executable, "-c", code))
    places = sorted({(commits.index(commit) + 1, kind) for commit, kind in named})
    print("named:", ", ".join(f"{place}: {kind}" for place, kind in places) or "nothing")
    sys.exit(0 if places == [(6, "regressed"), (8, "regressed")] else 1)


if __name__ == "__main__":
    main()
