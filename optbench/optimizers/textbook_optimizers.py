"""The NumPy rules as torch optimizers, so that they run wherever an optimizer runs.

Slow, and meant to be: a reference for everything else. Each step takes a parameter and its
gradient to float64, applies the rule from `optbench.optimizers.textbook` and rounds the result
once to the parameter's dtype. What the rule remembers stays float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature, signature
from itertools import chain
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import torch
from torch.optim.optimizer import StateDict

from optbench.optimizers import textbook, textbook_matrix, textbook_swarm
from optbench.optimizers.checked import check_range
from optbench.optimizers.lion import Lion
from optbench.optimizers.muon import MuonWithAdamW
from optbench.optimizers.signum import Signum
from optbench.optimizers.swarm import AdamSwarm
from optbench.optimizers.textbook import Array, Memory

Rule = Callable[..., Any]


class TextbookOptimizer(torch.optim.Optimizer):
    """A rule of `optbench.optimizers.textbook`, applied to each parameter that has a gradient.

    A subclass names its ``rule``; the constructor takes the parameters and the rule's keyword
    arguments, by position or by name, and the ``extra_arguments``. Sparse gradients are read as
    dense ones.

    Raises
    ------
    ValueError
        Where a hyperparameter, of the optimizer or of a group, is outside its range.
    """

    rule: ClassVar[Rule]
    extra_arguments: ClassVar[Mapping[str, Any]] = {}
    """Hyperparameters that are not the rule's, with their defaults."""
    agreement: ClassVar[float] = 1e-10
    """Difference of other float64 implementations, relative to the distance travelled."""
    other_names: ClassVar[tuple[str, ...]] = ()
    """Lower-case names that well-known implementations have besides the rule's."""
    readings: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Hyperparameters under which the rule is what implementations without them compute."""
    shapes: ClassVar[tuple[tuple[int, ...], ...] | None] = None
    """Shapes of the tensors on which implementations can be compared; None for any."""
    __signature__: ClassVar[Signature]

    def __init_subclass__(cls, **settings: Any) -> None:
        """Show the rule's hyperparameters to whoever asks for the constructor's."""
        super().__init_subclass__(**settings)
        if "rule" in vars(cls):
            cls.__signature__ = signature_of(cls.rule, cls.extra_arguments)

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        bound = self.__signature__.bind(*arguments, **settings)
        bound.apply_defaults()
        defaults = dict(bound.arguments)
        super().__init__(defaults.pop("params"), defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, whose hyperparameters are checked as the constructor's are."""
        settings = {**self.defaults, **param_group}
        check(settings)
        if "convention" in settings:
            implemented = self.__signature__.parameters["convention"].default
            textbook.follows_paper(settings["convention"], implemented)
        super().add_param_group(dict(param_group))  # torch writes into it

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            settings = self._settings(group)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, settings)
        return loss

    def _settings(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the rule's keyword arguments; a rate that is a tensor becomes a number."""
        return {
            name: group[name].item() if isinstance(group[name], torch.Tensor) else group[name]
            for name in list(self.__signature__.parameters)[1:]
            if name not in self.extra_arguments
        }

    def _update(self, parameter: torch.Tensor, settings: dict[str, Any]) -> None:
        memory = self._remembered(parameter)
        new = type(self).rule(to_numpy(parameter), to_numpy(parameter.grad), memory, **settings)
        self._remember(parameter, memory)
        write(new, parameter)

    def _remembered(self, parameter: torch.Tensor) -> Memory:
        return Memory(
            (name, to_numpy(value) if isinstance(value, torch.Tensor) else value)
            for name, value in self.state[parameter].items()
        )

    def _remember(self, parameter: torch.Tensor, memory: Memory) -> None:
        """Back into the state: arrays as float64 tensors, scalars as numbers of Python's."""
        self.state[parameter] = {
            name: to_torch(value) if np.ndim(value) else float(value)
            for name, value in memory.items()
        }

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load what `state_dict` gave, bit for bit.

        torch would round the state to the parameters' dtype and move it to their device. So
        it is sealed on its way in, behind every hook, and opened in `__setstate__`.
        """
        sealing = self.register_load_state_dict_pre_hook(_seal)
        try:
            super().load_state_dict(state_dict)
        finally:
            sealing.remove()

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state["state"].items():
            if isinstance(value, _Sealed):
                state["state"][key] = dict(value.content)
        super().__setstate__(state)


class _Sealed:
    """What torch's loading passes on as it is, being neither a tensor nor iterable."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content


def _seal(_: torch.optim.Optimizer, state_dict: StateDict) -> StateDict:
    sealed = {key: _Sealed(value) for key, value in state_dict["state"].items()}
    return {**state_dict, "state": sealed}


def signature_of(
    rule: Rule, extra_arguments: Mapping[str, Any] = MappingProxyType({})
) -> Signature:
    """Of an optimizer over a rule: ``params``, then the keyword arguments."""
    kind = Parameter.POSITIONAL_OR_KEYWORD
    hyperparameters = [
        parameter.replace(kind=kind)
        for parameter in signature(rule).parameters.values()
        if parameter.kind is Parameter.KEYWORD_ONLY
    ]
    others = [Parameter(name, kind, default=default) for name, default in extra_arguments.items()]
    return Signature([Parameter("params", kind), *hyperparameters, *others])


def to_numpy(tensor: torch.Tensor | None) -> Array:
    """Return a float64 copy, so that later writes to the tensor do not reach a rule's state."""
    if tensor is None or tensor.is_complex():
        raise TypeError("a textbook optimizer needs real parameters")
    dense = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    return np.array(dense.to("cpu", torch.float64).numpy())


def to_torch(array: Array) -> torch.Tensor:
    """Compute a float64 tensor on the CPU; a 0-dimensional array may be NumPy's scalar."""
    return torch.from_numpy(np.array(array, dtype=np.float64))


def write(array: Array, parameter: torch.Tensor) -> None:
    """Round an array once, to the parameter's dtype, and put it there."""
    parameter.copy_(to_torch(array))


def check(settings: Mapping[str, Any]) -> None:
    """Refuse hyperparameters outside their range, named as the rules name them.

    Raises
    ------
    ValueError
        With the name, the value and the range.
    """
    for name in NON_NEGATIVE & settings.keys():
        check_range(name, settings[name])
    for index, value in enumerate(settings.get("betas", ())):
        check_range(f"betas[{index}]", value, below=1.0)
    _check_eps(settings.get("eps", 0.0))
    momentum, dampening = settings.get("momentum"), settings.get("dampening")
    # Muon has a momentum too, but no dampening, and takes Nesterov with any.
    if dampening is not None and settings["nesterov"] and (momentum == 0 or dampening != 0):
        raise ValueError(
            "nesterov needs a momentum and no dampening, not "
            f"momentum={momentum!r}, dampening={dampening!r}"
        )
    if "etas" in settings and not 0 < settings["etas"][0] < 1 < settings["etas"][1]:
        raise ValueError(f"etas must be below and above 1, and positive, not {settings['etas']!r}")
    if not settings.get("beta2_decay", 0.0) <= 0:
        raise ValueError(f"beta2_decay must be <= 0, not {settings['beta2_decay']!r}")
    if not settings.get("d", 1.0) >= 1:
        raise ValueError(f"d must be >= 1, not {settings['d']!r}")
    textbook_matrix.rate_factor(settings.get("adjust_lr_fn"), 1, 1)
    if not settings.get("particles", 1) >= 1 or settings.get("particles", 1) % 1:
        raise ValueError(f"particles must be a whole number >= 1, not {settings['particles']!r}")


NON_NEGATIVE = frozenset(
    {
        *("lr", "weight_decay", "momentum", "momentum_decay", "lr_decay", "alpha", "lambd"),
        *("initial_accumulator_value", "social", "spread", "ns_steps", "rho", "d0", "d_coef", "bs"),
        *("perturb_eps", "warmup_steps", "r", "weight_lr_power"),
    }
)


def _check_eps(eps: float | tuple[float | None, float]) -> None:
    """One number or, for Adafactor, two, of which the first may be None for "chosen"."""
    if isinstance(eps, tuple | list):
        check_range("eps[0]", 0.0 if eps[0] is None else eps[0])
        check_range("eps[1]", eps[1])
    else:
        check_range("eps", eps)


class TextbookSGD(TextbookOptimizer):
    """`textbook.sgd`: plain, heavy ball, Nesterov."""

    rule = textbook.sgd


class TextbookAdam(TextbookOptimizer):
    """`textbook.adam`, AMSGrad with it."""

    rule = textbook.adam


class TextbookAdamW(TextbookOptimizer):
    """`textbook.adamw`."""

    rule = textbook.adamw


class TextbookNAdam(TextbookOptimizer):
    """`textbook.nadam`."""

    rule = textbook.nadam


class TextbookRAdam(TextbookOptimizer):
    """`textbook.radam`."""

    rule = textbook.radam


class TextbookAdamax(TextbookOptimizer):
    """`textbook.adamax`."""

    rule = textbook.adamax


class TextbookAdagrad(TextbookOptimizer):
    """`textbook.adagrad`."""

    rule = textbook.adagrad


class TextbookRMSprop(TextbookOptimizer):
    """`textbook.rmsprop`, centered with it."""

    rule = textbook.rmsprop


class TextbookAdadelta(TextbookOptimizer):
    """`textbook.adadelta`."""

    rule = textbook.adadelta

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; ``rho`` weights an average."""
        check_range("rho", {**self.defaults, **param_group}["rho"], below=1.0)
        super().add_param_group(param_group)


class TextbookRprop(TextbookOptimizer):
    """`textbook.rprop`."""

    rule = textbook.rprop


class TextbookASGD(TextbookOptimizer):
    """`textbook.asgd`; the average is in ``state[parameter]["ax"]``."""

    rule = textbook.asgd


class TextbookAdafactor(TextbookOptimizer):
    """`textbook_matrix.adafactor`."""

    rule = textbook_matrix.adafactor

    def _update(self, parameter: torch.Tensor, settings: dict[str, Any]) -> None:
        eps1, eps2 = settings["eps"]
        if eps1 is None and settings["convention"] == "torch":
            # Of the dtype that the parameter has, not of the one that the rule computes in.
            eps1 = torch.finfo(parameter.dtype).eps
        super()._update(parameter, {**settings, "eps": (eps1, eps2)})


class TextbookMuon(TextbookOptimizer):
    """`textbook_matrix.muon`; every parameter must be a matrix."""

    rule = textbook_matrix.muon
    # Its Newton-Schulz steps round to bfloat16. Where a sum lies between two such numbers, the
    # order of the summands decides; one flip is 1e-4 of a step, and more with more iterations.
    agreement = 5e-3

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of matrices."""
        super().add_param_group(param_group)
        for parameter in self.param_groups[-1]["params"]:
            if parameter.ndim != 2:
                raise ValueError(f"muon is for matrices, not for {tuple(parameter.shape)}")


class TextbookMuonWithAdamW(TextbookOptimizer):
    """`textbook_matrix.muon_with_adamw`."""

    rule = textbook_matrix.muon_with_adamw
    agreement = TextbookMuon.agreement


class TextbookSparseAdam(TextbookOptimizer):
    """`textbook.sparseadam`: what stands in the sparse gradient is touched, be it zero or not."""

    rule = textbook.sparseadam

    def _update(self, parameter: torch.Tensor, settings: dict[str, Any]) -> None:
        gradient = parameter.grad
        if gradient is None or not gradient.is_sparse:
            raise RuntimeError("TextbookSparseAdam needs sparse gradients (see TextbookAdam)")
        gradient = gradient.coalesce()
        touched = np.zeros(parameter.shape, dtype=bool)
        touched[tuple(gradient.indices().cpu().numpy())] = True
        memory = self._remembered(parameter)
        new = textbook.sparseadam(
            to_numpy(parameter), to_numpy(gradient), memory, touched, **settings
        )
        self._remember(parameter, memory)
        write(new, parameter)


class TextbookLion(TextbookOptimizer):
    """`textbook.lion`."""

    rule = textbook.lion


class TextbookSignum(TextbookOptimizer):
    """`textbook.signum`."""

    rule = textbook.signum


class TextbookAdamSwarm(TextbookOptimizer):
    """`textbook_swarm.adam_swarm`, drawing the numbers that `AdamSwarm` draws.

    The parameters hold the leader as it leaves the step, as they do there.
    """

    extra_arguments: ClassVar[Mapping[str, Any]] = {"particles": 4, "spread": 0.1, "seed": 0}
    rule = textbook_swarm.adam_swarm

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the swarm once; returns the lowest of the particles' losses."""
        if closure is None:
            raise TypeError("TextbookAdamSwarm.step needs a closure: it evaluates every particle")
        swarm = self.param_groups[0]
        parameters = list(chain.from_iterable(group["params"] for group in self.param_groups))
        if not self.state:
            self._scatter(parameters, swarm)
        for parameter in parameters:
            state = self.state[parameter]
            # Whoever moved the parameters between the steps moved the leader.
            positions = state["x"].clone()
            positions[state["leader"]] = to_torch(to_numpy(parameter))
            state["x"] = positions
        before = {parameter: parameter.clone() for parameter in parameters}
        losses, gradients = self._evaluate(parameters, swarm["particles"], closure)
        values = np.array([float(loss) for loss in losses])
        best = textbook_swarm.leader(values)
        taken = int(self.state[parameters[0]]["t"])
        generator = torch.Generator().manual_seed(swarm["seed"] + taken + 1)
        draws = to_numpy(torch.rand(len(losses), generator=generator))
        for group in self.param_groups:
            settings = self._settings(group)
            for parameter in group["params"]:
                memory = self._remembered(parameter)
                positions = memory.pop("x")
                if parameter in gradients:
                    positions = textbook_swarm.adam_swarm(
                        positions,
                        np.stack(gradients[parameter]),
                        memory,
                        values,
                        draws,
                        **settings,
                    )
                else:
                    # The evaluations left it where the last particle stood.
                    memory.t += 1
                    positions[:] = to_numpy(before[parameter])
                self._remember(parameter, memory)
                self.state[parameter].update(x=to_torch(positions), leader=best)
                write(positions[best], parameter)
        return losses[best]

    def _scatter(self, parameters: list[torch.Tensor], swarm: Mapping[str, Any]) -> None:
        generator = torch.Generator().manual_seed(swarm["seed"])
        for parameter in parameters:
            shape = (swarm["particles"], *parameter.shape)
            offsets = torch.randn(shape, generator=generator, dtype=torch.float64)
            offsets[0] = 0
            start = to_torch(to_numpy(parameter)) + swarm["spread"] * offsets
            self.state[parameter] = {"x": start, "leader": 0, "t": 0}

    def _evaluate(
        self, parameters: list[torch.Tensor], particles: int, closure: Callable[[], Any]
    ) -> tuple[list[torch.Tensor], dict[torch.Tensor, list[Array]]]:
        losses: list[torch.Tensor] = []
        gradients: dict[torch.Tensor, list[Array]] = {}
        for particle in range(particles):
            for parameter in parameters:
                parameter.copy_(self.state[parameter]["x"][particle])
            with torch.enable_grad():
                losses.append(torch.as_tensor(closure()).detach().reshape(()))
            for parameter in parameters:
                if parameter.grad is not None:
                    gradients.setdefault(parameter, []).append(to_numpy(parameter.grad))
        return losses, gradients


ORACLES: Mapping[type[torch.optim.Optimizer], str] = MappingProxyType(
    {
        torch.optim.SGD: "textbook-sgd",
        torch.optim.Adam: "textbook-adam",
        torch.optim.AdamW: "textbook-adamw",
        torch.optim.NAdam: "textbook-nadam",
        torch.optim.RAdam: "textbook-radam",
        torch.optim.Adamax: "textbook-adamax",
        torch.optim.Adagrad: "textbook-adagrad",
        torch.optim.RMSprop: "textbook-rmsprop",
        torch.optim.Adadelta: "textbook-adadelta",
        torch.optim.Rprop: "textbook-rprop",
        torch.optim.ASGD: "textbook-asgd",
        torch.optim.Adafactor: "textbook-adafactor",
        torch.optim.SparseAdam: "textbook-sparseadam",
        MuonWithAdamW: "textbook-muon-with-adamw",
        Lion: "textbook-lion",
        Signum: "textbook-signum",
        AdamSwarm: "textbook-adam-swarm",
        # Younger than the oldest torch that optbench is read on.
        **({torch.optim.Muon: "textbook-muon"} if hasattr(torch.optim, "Muon") else {}),
    }
)
"""Class to the registered transcription of its rule; a subclass may have another rule."""
