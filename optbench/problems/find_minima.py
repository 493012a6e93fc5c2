"""Find the reference minima that no formula gives: ``python -m optbench.problems.find_minima``.

Both problems concerned are smooth and convex, and one strictly so: the minimum is unique, and a
small gradient proves how near it is. Each is minimised in float64 on its full objective by
SciPy's L-BFGS, then by Newton with conjugate gradients, from zero. What is frozen is the
value, with the norm of the gradient where it was found and, for a strongly convex objective,
the bound |g|^2 / (2 mu) on its distance from the minimum.

``--to DIR`` finds them on the digits of DIR and writes them there; without it the values of the
package are found anew. ``--check`` compares and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from optbench.problems import PROBLEMS
from optbench.problems.convex import MnistLogistic, SparseLogistic
from optbench.problems.minima import FILE
from optbench.problems.mnist import DATA_VARIABLE
from optbench.problems.problem import Problem

NAMES = tuple(p.name for p in PROBLEMS if isinstance(p, MnistLogistic | SparseLogistic))


def find(problem: Problem) -> dict[str, Any]:
    """Minimise the objective; gives the value, the gradient's norm and, if known, the error."""
    bound = problem.bind(torch.float64, torch.device("cpu"))
    shapes = problem.shapes
    sizes = [int(np.prod(shape)) for shape in shapes.values()]

    def unpack(x: torch.Tensor) -> dict[str, torch.Tensor]:
        pieces = x.split(sizes)
        return {
            k: piece.reshape(1, *shape)
            for (k, shape), piece in zip(shapes.items(), pieces, strict=True)
        }

    def value(x: torch.Tensor) -> torch.Tensor:
        return bound.objective(unpack(x)).sum()

    def value_and_gradient(x: np.ndarray) -> tuple[float, np.ndarray]:
        leaf = torch.from_numpy(x.copy()).requires_grad_()
        f = value(leaf)
        (g,) = torch.autograd.grad(f, leaf)
        return f.item(), g.numpy()

    def hessian_product(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        product = torch.autograd.functional.hvp(
            value, torch.from_numpy(x.copy()), torch.from_numpy(v.copy())
        )[1]
        answer: np.ndarray = product.numpy()
        return answer

    rough = minimize(
        value_and_gradient, np.zeros(sum(sizes)), jac=True, method="L-BFGS-B",
        options={"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 30},
    )  # fmt: skip
    fine = minimize(
        value_and_gradient, rough.x, jac=True, hessp=hessian_product, method="Newton-CG",
        options={"maxiter": 50, "xtol": 1e-14},
    )  # fmt: skip
    minimum, gradient = min((value_and_gradient(r.x) for r in (rough, fine)), key=lambda vg: vg[0])
    norm = float(np.linalg.norm(gradient))
    found: dict[str, Any] = {"minimum": minimum, "gradient_norm": norm}
    if isinstance(problem, MnistLogistic):
        # The biases are not penalised, but the bound holds on the weights' subspace.
        found["error_bound"] = norm**2 / (2 * problem.penalty)
    return found


def main(arguments: list[str] | None = None) -> int:
    """Find, then write or check. Exit status 1 where a check finds another value."""
    parser = argparse.ArgumentParser(description=__doc__, prog="optbench.problems.find_minima")
    parser.add_argument("problems", nargs="*", default=NAMES, help=", ".join(NAMES))
    parser.add_argument("--to", type=Path, help="folder with the official digits")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    options = parser.parse_args(arguments)
    if options.to:
        os.environ[DATA_VARIABLE] = str(options.to)
        path = options.to / FILE
    else:
        os.environ.pop(DATA_VARIABLE, None)
        path = Path(str(resources.files("optbench.problems") / "data" / FILE))
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    differs = False
    for name in options.problems:
        if name not in NAMES:
            parser.error(f"{name!r} needs no reference minimum; these do: {', '.join(NAMES)}")
        problem = PROBLEMS[name]
        key = f"{problem.name}@{problem.version}/{problem.data}"
        found = find(problem)
        print(f"{key}: {found}")
        if options.check:
            frozen = known.get(key, {}).get("minimum", float("nan"))
            differs |= not abs(frozen - found["minimum"]) <= 1e-9
        known[key] = found
    if not options.check:
        path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", "utf-8")
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
