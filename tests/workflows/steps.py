"""The ``run:`` steps of a job, executed in order as a runner of GitHub's does.

Expressions are evaluated from a table; ``uses:`` steps are taken to succeed. Nothing else of a
workflow is understood here: an expression that is not in the table raises.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
"""What ``shell: bash`` stands for."""


@dataclass
class Step:
    """What became of a step."""

    name: str
    outcome: str
    said: str = ""


@dataclass
class Job:
    """A job of a workflow, in a checkout.

    Attributes
    ----------
    text : str
        The workflow.
    name : str
    checkout : Path
    temporary : Path
        What RUNNER_TEMP names; GitHub's files are in it.
    known : mapping
        Contexts, as ``github.base_ref`` to a value.
    environment : mapping
        Of every step.
    """

    text: str
    name: str
    checkout: Path
    temporary: Path
    known: Mapping[str, Any]
    environment: Mapping[str, str]
    steps: list[Step] = field(default_factory=list)
    timeout_s: float = 300.0

    def run(self) -> str:
        """Run it; gives ``success``, ``failure`` or ``skipped``."""
        workflow = yaml.safe_load(self.text)
        assert workflow["defaults"] == {"run": {"shell": "bash"}}
        job = workflow["jobs"][self.name]
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.failed = False
        self.facts = dict(self.known)
        if not self._holds(job.get("if", "true")):
            return "skipped"
        variables = {name: self._filled(value) for name, value in job.get("env", {}).items()}
        for step in job["steps"]:
            self._step(step, variables)
        return "failure" if self.failed else "success"

    def outcomes(self) -> dict[str, str]:
        """Step to what became of it."""
        return {step.name: step.outcome for step in self.steps}

    def said(self, name: str) -> str:
        """What a step printed."""
        (found,) = (step.said for step in self.steps if step.name == name)
        return found

    def file(self, name: str) -> Path:
        """One of GitHub's files, as ``GITHUB_OUTPUT``."""
        return self.temporary / name.lower()

    def _step(self, step: Mapping[str, Any], variables: Mapping[str, str]) -> None:
        done = Step(step["name"], "success")
        if not self._holds(step.get("if", "success()")):
            done.outcome = "skipped"
        elif "run" in step:
            assert "${{" not in step["run"], "values come by variables"
            given = {name: self._filled(value) for name, value in step.get("env", {}).items()}
            code, done.said = self._shell(step["run"], {**variables, **given})
            done.outcome = "failure" if code else "success"
        self.steps.append(done)
        self.failed |= done.outcome == "failure"
        if identity := step.get("id"):
            self.facts[f"steps.{identity}.outcome"] = done.outcome
            for line in self._lines("GITHUB_OUTPUT"):
                key, _, value = line.partition("=")
                self.facts[f"steps.{identity}.outputs.{key}"] = value
            self.file("GITHUB_OUTPUT").unlink(missing_ok=True)

    def _shell(self, command: str, variables: Mapping[str, str]) -> tuple[int, str]:
        files = ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH")
        for name in files:
            self.file(name).touch()
        environment = {
            **{name: value for name, value in os.environ.items() if name not in MISLEADING},
            **self.environment,
            **{name: str(self.file(name)) for name in files},
            **dict(line.split("=", 1) for line in self._lines("GITHUB_ENV")),
            **variables,
            "RUNNER_TEMP": str(self.temporary),
            "CI": "true",
            "GITHUB_ACTIONS": "true",
        }
        path = [*reversed(self._lines("GITHUB_PATH")), environment["PATH"]]
        environment["PATH"] = os.pathsep.join(path)
        script = self.temporary / "step.sh"
        script.write_text(command, "utf-8")
        answer = subprocess.run(
            [*BASH, str(script)],
            cwd=self.checkout, env=environment, text=True, check=False, timeout=self.timeout_s,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return answer.returncode, answer.stdout

    def _lines(self, name: str) -> list[str]:
        file = self.file(name)
        return file.read_text("utf-8").splitlines() if file.exists() else []

    def _filled(self, value: object) -> str:
        return re.sub(
            r"\$\{\{(.*?)\}\}", lambda found: str(self._value(found.group(1))), str(value)
        )

    def _holds(self, condition: object) -> bool:
        text = str(condition).strip().removeprefix("${{").removesuffix("}}")
        implied = (
            "" if re.search(r"\b(always|success|failure|cancelled)\(\)", text) else "success()"
        )
        return bool(self._value(" && ".join(filter(None, (implied, f"({text})")))))

    def _value(self, expression: str) -> Any:
        """Of an expression, by making Python of it."""
        strings: list[str] = []

        def keep(found: re.Match[str]) -> str:
            strings.append(found.group(0)[1:-1])
            return f"\0{len(strings) - 1}\0"

        text = re.sub(r"'[^']*'", keep, expression.strip())
        text = text.replace("&&", " and ").replace("||", " or ")
        text = re.sub(r"\btrue\b", "True", text)
        text = re.sub(r"[A-Za-z_-]+(\.[\w-]+)+", lambda f: f"known[{f.group(0)!r}]", text)
        text = re.sub(r"\0(\d+)\0", lambda found: repr(strings[int(found.group(1))]), text)
        functions = {
            "always": lambda: True,
            "success": lambda: not self.failed,
            "contains": lambda where, what: what in where,
            "fromJSON": json.loads,
            "hashFiles": lambda name: "hash" if (self.checkout / name).is_file() else "",
        }
        return eval(text, {"__builtins__": {}, **functions}, {"known": _Known(self.facts)})


class _Known(dict[str, Any]):
    """Outputs that no step set are empty; whatever else is missing is a mistake of the test."""

    def __missing__(self, name: str) -> str:
        if re.fullmatch(r"steps\.[\w-]+\.outputs\.[\w-]+", name):
            return ""
        raise KeyError(f"the test has no value for {name}")


MISLEADING = frozenset(("VIRTUAL_ENV", "PYTHONPATH", "GIT_DIR", "GH_TOKEN", "GITHUB_TOKEN"))
"""Of this process, not of a runner's."""
