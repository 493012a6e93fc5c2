"""The contract: every check, in the order in which it is told."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from optbench.conformance import (
    cleanliness,
    closures,
    compiled,
    construction,
    devices,
    direction,
    distributed,
    groups,
    hyperparameters,
    ladder,
    laws,
    parity,
    persistence,
    schedulers,
    steadiness,
    types,
)
from optbench.conformance.check import Check, Severity
from optbench.registry import UnknownName
from optbench.scenarios.schedulers import TriedScheduler
from optbench.scenarios.subject import Subject

CONTRACT = (
    Check(parity.follows_its_oracle),
    Check(parity.follows_its_oracle_in_float32),
    Check(parity.follows_the_reference),
    Check(parity.foreach_equals_the_loop),
    Check(parity.fused_equals_the_loop),
    Check(parity.differentiable_equals_the_loop),
    Check(construction.a_differentiable_step_has_its_derivative, severity=Severity.EITHER),
    Check(parity.capturable_equals_the_loop),
    Check(hyperparameters.every_hyperparameter_matters, severity=Severity.EITHER),
    Check(hyperparameters.wrong_values_are_refused),
    Check(groups.groups_keep_their_own_hyperparameters),
    Check(groups.a_group_added_in_mid_run_works, severity=Severity.EITHER),
    Check(groups.neighbours_do_not_matter),
    Check(groups.gradients_may_come_and_go),
    Check(groups.the_order_of_parameters_does_not_matter),
    Check(groups.splitting_a_tensor_does_not_matter),
    Check(direction.maximize_is_minimize_of_the_negative),
    Check(direction.a_changed_rate_takes_effect_on_the_next_step),
    Check(direction.hyperparameters_may_change_on_the_way),
    Check(construction.the_constructor_leaves_its_arguments_alone),
    Check(construction.parameters_may_come_in_any_form, severity=Severity.EITHER),
    Check(construction.a_parameter_given_twice_is_stepped_once),
    Check(construction.wrong_groups_are_refused),
    Check(construction.zero_grad_clears_every_group),
    Check(construction.hooks_are_called_once_a_step, severity=Severity.EITHER),
    Check(laws.a_tensor_rate_goes_as_the_number),
    Check(laws.a_rate_of_zero_is_survived),
    Check(laws.a_scheduler_of_rate_and_momentum_works),
    Check(laws.mirrored_gradients_mirror_the_path),
    Check(laws.the_layout_in_memory_does_not_matter),
    Check(laws.empty_tensors_do_not_matter),
    Check(laws.uncoalesced_gradients_go_as_coalesced_ones),
    Check(laws.an_empty_sparse_gradient_is_survived),
    Check(laws.eval_and_back_changes_nothing),
    Check(laws.saves_and_loads_before_the_first_step),
    Check(laws.saves_and_loads_in_float16),
    Check(laws.float16_goes_on_after_70000_steps),
    Check(laws.a_loaded_optimizer_shares_no_memory),
    Check(persistence.saves_and_loads_at_step_301),
    Check(persistence.saves_and_loads_beyond_2100_steps),
    Check(persistence.deepcopies_and_pickles),
    Check(cleanliness.a_parameter_without_a_gradient_is_untouched),
    Check(cleanliness.zero_gradients_give_no_nan),
    Check(cleanliness.a_constant_gradient_stays_finite),
    Check(cleanliness.a_non_finite_gradient_stays_in_its_tensor),
    Check(cleanliness.gradients_are_neither_changed_nor_kept, severity=Severity.EITHER),
    Check(cleanliness.parameters_stay_leaves),
    Check(cleanliness.the_global_state_is_untouched, severity=Severity.EITHER),
    Check(closures.the_closure_runs_with_gradients_enabled),
    Check(closures.the_closure_s_loss_is_returned),
    Check(closures.the_evaluation_limit_is_respected),
    Check(types.dtypes_are_kept),
    Check(laws.complex_parameters_go_as_their_real_view, severity=Severity.EITHER),
    Check(types.float64_parameters_have_float64_state, severity=Severity.ADVICE),
    Check(types.half_precision_stays_near_float32, severity=Severity.EITHER),
    Check(types.a_parameter_of_another_dtype_does_not_interfere),
    Check(steadiness.bits_repeat_in_a_second_run),
    Check(steadiness.the_lane_route_is_certified),
    Check(steadiness.the_state_does_not_grow),
    Check(steadiness.memory_does_not_grow),
    Check(steadiness.a_step_does_not_grow_dearer),
    Check(
        steadiness.the_default_takes_no_more_memory_than_the_loop,
        severity=Severity.ADVICE,
    ),
    Check(compiled.a_compiled_step_equals_the_eager_one, severity=Severity.EITHER),
    Check(laws.a_gradient_scaler_does_not_matter),
    Check(devices.a_gradient_scaler_does_not_matter_on_cuda),
    Check(devices.cuda_agrees_with_the_cpu),
    Check(ladder.it_solves_the_ladder, slow=True),
    Check(distributed.data_parallel_is_the_joint_batch, slow=True),
    Check(distributed.zero_redundancy_is_the_joint_batch, slow=True),
)
"""Checks of optimizers."""

SCHEDULER_CONTRACT = (
    Check(schedulers.rates_follow_their_formula),
    Check(schedulers.rates_follow_their_formula_for_100_000_steps),
    Check(schedulers.rates_follow_the_reference),
    Check(schedulers.resumes_at_every_step),
    Check(schedulers.last_epoch_goes_on_in_mid_training),
    Check(schedulers.tensor_rates_go_as_numbers, severity=Severity.EITHER),
    Check(schedulers.each_group_goes_as_alone),
    Check(schedulers.get_last_lr_is_what_is_set),
    Check(schedulers.chains_with_another),
    Check(schedulers.works_in_a_sequence),
    Check(schedulers.step_with_an_epoch_equals_step),
    Check(schedulers.saves_with_torch_save, severity=Severity.ADVICE),
    Check(schedulers.given_lists_are_left_alone),
    Check(schedulers.every_argument_matters, severity=Severity.ADVICE),
)
"""Checks of learning-rate schedulers."""

ALL_CHECKS = (*CONTRACT, *SCHEDULER_CONTRACT)


def checks_of(subject: Subject | TriedScheduler) -> tuple[Check, ...]:
    """Return the checks of an optimizer, or those of a scheduler."""
    return CONTRACT if isinstance(subject, Subject) else SCHEDULER_CONTRACT


def choose(only: Sequence[str] = (), skip: Sequence[str] = ()) -> tuple[Check, ...]:
    """Return the checks that match ``only`` (names or globs; empty: all) and not ``skip``.

    Raises
    ------
    UnknownName
        A pattern that fits nothing.
    """
    names = [check.name for check in ALL_CHECKS]
    for pattern in (*only, *skip):
        if not fnmatch.filter(names, pattern):
            near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.4)
            hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise UnknownName(f"no check is called {pattern!r}{hint} (optbench check --list)")

    def fits(name: str, patterns: Sequence[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return tuple(c for c in ALL_CHECKS if fits(c.name, only or ["*"]) and not fits(c.name, skip))
