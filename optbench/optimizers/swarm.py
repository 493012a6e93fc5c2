"""A hybrid of Adam with particle-swarm optimization."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from optbench.optimizers.checked import check_range


class AdamSwarm(torch.optim.Optimizer):
    r"""Several particles, each with an Adam of its own, drawn to the best among them.

    From particle-swarm optimization it takes the *social* term, the pull of every particle to
    the best position that the swarm knows (Kennedy and Eberhart 1995, *Particle Swarm
    Optimization*, eq. for ``vx``). The *cognitive* term, the pull to a particle's own best, is
    replaced by a gradient step, as Noel 2012 does (*A new gradient based particle swarm
    optimization algorithm for accurate computation of global minimum*, Applied Soft Computing
    12(1)); here the gradient step is Adam's (Kingma and Ba 2015, Algorithm 1):

    .. math::
        b &= \arg\min_i f_t(x_i) \\
        x_i &\leftarrow x_i - \eta\,\hat m_i / (\sqrt{\hat v_i} + \epsilon)
               + c\,r_i\,(x_b - x_i), \qquad r_i \sim U(0, 1)

    The best is chosen anew in every step, among the particles as they stand and on the one
    batch of that step. The classical memory of the best value ever seen is left out on
    purpose: under a noisy objective it keeps a lucky draw for ever.

    The parameters hold particle b as it leaves the step. A step asks the closure for the loss
    and gradient of each particle: it costs ``particles`` gradient evaluations.

    Parameters
    ----------
    params : iterable
        Parameters or parameter groups; ``particles``, ``spread`` and ``seed`` are the swarm's,
        one value for all groups.
    lr, betas, eps :
        Of every particle's Adam.
    particles : int
        How many; particle 0 starts where the parameters are.
    social : float
        :math:`c`; the expected pull is half of it. Below 1 the swarm cannot overshoot.
    spread : float
        Standard deviation of the other particles' start around particle 0.
    seed : int
        Of the generator that draws starts and :math:`r`; the global one is not touched.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        particles: int = 4,
        social: float = 0.1,
        spread: float = 0.1,
        seed: int = 0,
    ) -> None:
        check_range("lr", lr)
        check_range("betas[0]", betas[0], below=1.0)
        check_range("betas[1]", betas[1], below=1.0)
        check_range("eps", eps)
        check_range("social", social)
        check_range("spread", spread)
        if particles < 1 or particles != int(particles):
            raise ValueError(f"particles must be a whole number >= 1, not {particles!r}")
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "particles": particles,
                "social": social,
                "spread": spread,
                "seed": seed,
            },
        )
        parameters = [p for group in self.param_groups for p in group["params"]]
        if len({*map(id, parameters)}) < len(parameters):
            raise ValueError("a parameter is given twice")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the swarm once.

        Parameters
        ----------
        closure : callable
            Clears the gradients, computes the loss, calls ``backward`` and returns the loss.

        Returns
        -------
        The lowest of the particles' losses.
        """
        if closure is None:
            raise TypeError("AdamSwarm.step needs a closure: it evaluates every particle")
        parameters = [p for group in self.param_groups for p in group["params"]]
        swarm = self.param_groups[0]
        first = self.state[parameters[0]]
        if not first:
            first["leader"] = 0
            first["step"] = 0
            self._scatter(parameters, swarm["particles"], swarm["spread"], swarm["seed"])
        # Whoever moved the parameters between steps (a projection, say) moved the leader.
        for parameter in parameters:
            self.state[parameter]["positions"][first["leader"]].copy_(parameter)

        before = {parameter: parameter.clone() for parameter in parameters}
        losses, gradients = self._evaluate(parameters, swarm["particles"], closure)
        # A particle whose loss is NaN compares as worse than every other.
        best = int(torch.nan_to_num(torch.stack(losses), nan=torch.inf).argmin())
        first["leader"] = best
        first["step"] += 1
        # Seeded by the step, the draws need no generator state in a checkpoint.
        generator = torch.Generator().manual_seed(swarm["seed"] + first["step"])
        pulls = swarm["social"] * torch.rand(len(losses), generator=generator).double()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter in gradients:
                    self._move(parameter, torch.stack(gradients[parameter]), group, pulls, best)
                else:
                    # The evaluations left it at the last particle's place; no gradient, no move.
                    parameter.copy_(before[parameter])
                    self.state[parameter]["positions"].copy_(before[parameter])
        return losses[best]

    def _scatter(
        self, parameters: list[torch.Tensor], particles: int, spread: float, seed: int
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in parameters:
            shape = (particles, *parameter.shape)
            offsets = torch.randn(shape, generator=generator, dtype=torch.float64).mul_(spread)
            offsets[0] = 0
            state = self.state[parameter]
            state["positions"] = parameter + offsets.to(parameter)
            state["exp_avg"] = torch.zeros_like(state["positions"])
            state["exp_avg_sq"] = torch.zeros_like(state["positions"])

    def _evaluate(
        self, parameters: list[torch.Tensor], particles: int, closure: Callable[[], Any]
    ) -> tuple[list[torch.Tensor], dict[torch.Tensor, list[torch.Tensor]]]:
        """Loss of every particle, and its gradients by parameter (where there are any)."""
        losses: list[torch.Tensor] = []
        gradients: dict[torch.Tensor, list[torch.Tensor]] = {}
        for particle in range(particles):
            for parameter in parameters:
                parameter.copy_(self.state[parameter]["positions"][particle])
            with torch.enable_grad():
                losses.append(torch.as_tensor(closure()).detach().reshape(()))
            for parameter in parameters:
                if parameter.grad is not None:
                    gradients.setdefault(parameter, []).append(parameter.grad.clone())
        return losses, gradients

    def _move(
        self,
        parameter: torch.Tensor,
        gradient: torch.Tensor,
        group: dict[str, Any],
        pulls: torch.Tensor,
        best: int,
    ) -> None:
        beta1, beta2 = group["betas"]
        state = self.state[parameter]
        positions, exp_avg, exp_avg_sq = state["positions"], state["exp_avg"], state["exp_avg_sq"]
        step = self.state[self.param_groups[0]["params"][0]]["step"]
        exp_avg.lerp_(gradient, 1 - beta1)
        exp_avg_sq.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = (exp_avg_sq / (1 - beta2**step)).sqrt_().add_(group["eps"])
        pull = pulls.to(positions).reshape(-1, *(1,) * parameter.ndim)
        social = pull * (positions[best] - positions)
        positions.addcdiv_(exp_avg, denominator, value=-group["lr"] / (1 - beta1**step))
        positions.add_(social)
        parameter.copy_(positions[best])
