"""The table: 24 bugs that optimizer libraries shipped, each as one change to a correct twin."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A historical bug.

    Attributes
    ----------
    number : int
        Its place in the table of known bugs.
    title : str
        What is wrong, in a line.
    where : str
        Issue or pull request that tells of it: ``repository#number``.
    broken, correct : str
        Targets of the mutant and of its twin: ``module:Class``, with ``tests/`` on the path.
    reference : str
        An independent transcription of what the twin computes; empty where there is none.
    caught_by : tuple of str
        The checks that ought to object; one of them must.
    gpu : bool
        It shows on an accelerator only.
    """

    number: int
    title: str
    where: str
    broken: str
    correct: str
    reference: str
    caught_by: tuple[str, ...]
    gpu: bool = False


MUTANTS = (
    Mutant(
        1,
        "AMSGrad by foreach uses the maximum and does not store it",
        "pytorch#78807",
        "mutants.adam_paths:AmsgradForeachForgetsTheMax",
        "mutants.adam_paths:AdamWithPaths",
        "textbook-adam",
        ("foreach_equals_the_loop",),
    ),
    Mutant(
        2,
        "NAdam's product of momenta has one factor too many",
        "pytorch#92699",
        "mutants.nadam:OneMomentumFactorTooMany",
        "mutants.nadam:NAdam",
        "textbook-nadam",
        ("follows_the_reference",),
    ),
    Mutant(
        3,
        "ASGD's rate raises the step to alpha, not the bracket",
        "pytorch#125440",
        "mutants.asgd:PowerOfTheStepAlone",
        "mutants.asgd:ASGD",
        "textbook-asgd",
        ("follows_the_reference",),
    ),
    Mutant(
        4,
        "AdamW decays after the update, not before",
        "transformers#14539, bitsandbytes#2010",
        "mutants.adam:DecayAfterTheUpdate",
        "mutants.adam:AdamW",
        "textbook-adamw",
        ("follows_the_reference",),
    ),
    Mutant(
        5,
        "AdamW decays by an L2 penalty, as Adam does",
        "keras#19051",
        "mutants.adam:CoupledDecayInAdamW",
        "mutants.adam:AdamW",
        "textbook-adamw",
        ("follows_the_reference",),
    ),
    Mutant(
        6,
        "Lion's decay stands inside the sign",
        "bitsandbytes#1992",
        "mutants.signs:DecayInsideTheSign",
        "mutants.signs:Lion",
        "textbook-lion",
        ("follows_the_reference",),
    ),
    Mutant(
        7,
        "Signum takes a weight decay and never uses it",
        "pytorch_optimizer#517",
        "mutants.signs:WeightDecayIgnored",
        "mutants.signs:Signum",
        "textbook-signum",
        ("every_hyperparameter_matters",),
    ),
    Mutant(
        8,
        "maximize turns the sign of the gradient twice",
        "pytorch_optimizer#528",
        "mutants.adam:MaximizeNegatesTwice",
        "mutants.adam:Adam",
        "textbook-adam",
        ("maximize_is_minimize_of_the_negative", "every_hyperparameter_matters"),
    ),
    Mutant(
        9,
        "Adam's parameters share one step counter, and each moves it on",
        "flashlight#143",
        "mutants.adam:SharedStepCounter",
        "mutants.adam:Adam",
        "textbook-adam",
        ("splitting_a_tensor_does_not_matter", "neighbours_do_not_matter"),
    ),
    Mutant(
        10,
        "the bias correction takes its factor from one twice: beta^t remains",
        "pytorch_optimizer#308",
        "mutants.adam:BiasCorrectedTwice",
        "mutants.adam:Adam",
        "textbook-adam",
        ("follows_the_reference",),
    ),
    Mutant(
        11,
        "Adam's eps is scaled by the bias correction",
        "pytorch#2060, pytorch#22628",
        "mutants.adam:EpsScaledByTheBiasCorrection",
        "mutants.adam:Adam",
        "textbook-adam",
        ("follows_the_reference",),
    ),
    Mutant(
        12,
        "eps is added to the reciprocal root, where it saves nobody from 1/0",
        "pytorch_optimizer#480",
        "mutants.adam:EpsAfterTheReciprocal",
        "mutants.adam:Adam",
        "textbook-adam",
        ("follows_the_reference",),
    ),
    Mutant(
        13,
        "Signum's buffer is zeroed at every step",
        "pytorch_optimizer#516",
        "mutants.signs:BufferZeroedEveryStep",
        "mutants.signs:Signum",
        "textbook-signum",
        ("every_hyperparameter_matters",),
    ),
    Mutant(
        14,
        "Rprop takes the step of the time before",
        "optax#1725",
        "mutants.rprop:OneStepStale",
        "mutants.rprop:Rprop",
        "textbook-rprop",
        ("follows_the_reference",),
    ),
    Mutant(
        15,
        "Nesterov's momentum has the wrong sign",
        "Paddle#12231",
        "mutants.sgd:NesterovWithTheWrongSign",
        "mutants.sgd:SGD",
        "textbook-sgd",
        ("follows_the_reference",),
    ),
    Mutant(
        16,
        "Muon's shape scale lacks the floor of one",
        "optax#1249, pytorch_optimizer#371",
        "mutants.muon:ShapeScaleWithoutItsFloor",
        "mutants.muon:Muon",
        "textbook-muon",
        ("follows_the_reference",),
    ),
    Mutant(
        17,
        "loading casts the step counter to the parameter's type",
        "pytorch#74424, pytorch#80809",
        "mutants.adam:StepCastOnLoad",
        "mutants.adam:Adam",
        "textbook-adam",
        ("saves_and_loads_at_step_301", "saves_and_loads_beyond_2100_steps"),
    ),
    Mutant(
        18,
        "Adagrad by foreach returns after the first sparse gradient",
        "pytorch#110454",
        "mutants.adagrad:SparseForeachReturnsEarly",
        "mutants.adagrad:Adagrad",
        "textbook-adagrad",
        ("foreach_equals_the_loop",),
    ),
    Mutant(
        19,
        "fused Adam steps although the gradient scaler found an overflow",
        "pytorch#96755, pytorch#95847",
        "mutants.adam_paths:FusedIgnoresOverflow",
        "mutants.adam_paths:AdamWithPaths",
        "textbook-adam",
        ("a_gradient_scaler_does_not_matter",),
    ),
    Mutant(
        20,
        "the default became foreach, with the temporaries of all tensors at once",
        "pytorch#97712",
        "mutants.adam_paths:ForeachByDefault",
        "mutants.adam_paths:AdamWithPaths",
        "textbook-adam",
        ("the_default_takes_no_more_memory_than_the_loop",),
    ),
    Mutant(
        21,
        "after loading the step counter is a tensor, and every step does more",
        "pytorch#74424",
        "mutants.adam:LoadingMakesStepsDearer",
        "mutants.adam:Adam",
        "textbook-adam",
        ("a_step_does_not_grow_dearer",),
    ),
    Mutant(
        22,
        "SOAP averages the rotated gradients, not the gradients",
        "HeavyBall#40",
        "mutants.soap:FirstMomentInTheEigenbasis",
        "mutants.soap:SOAP",
        "mutants.soap:ReferenceSOAP",
        ("follows_the_reference",),
    ),
    Mutant(
        23,
        "L-BFGS's line search takes its own 25 evaluations, whatever is left",
        "pytorch#91581",
        "mutants.lbfgs:LineSearchIgnoresMaxEval",
        "mutants.lbfgs:LBFGS",
        "",
        ("the_evaluation_limit_is_respected",),
    ),
    Mutant(
        24,
        "Adafactor's first moment averages steps with their rates, not updates",
        "transformers#34506",
        "mutants.adafactor:AveragesStepsInsteadOfUpdates",
        "mutants.adafactor:Adafactor",
        "mutants.adafactor:ReferenceAdafactorMomentum",
        ("follows_the_reference",),
    ),
)
