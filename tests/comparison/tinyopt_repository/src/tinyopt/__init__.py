"""Ten optimizers, as somebody's repository has them: what the tests of compare change."""

from tinyopt.adadelta import Adadelta
from tinyopt.adagrad import Adagrad
from tinyopt.adam import Adam
from tinyopt.adamax import Adamax
from tinyopt.adamw import AdamW
from tinyopt.lion import Lion
from tinyopt.nag import Nesterov
from tinyopt.rmsprop import RMSprop
from tinyopt.sgd import SGD
from tinyopt.signum import Signum

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Nesterov",
    "RMSprop",
    "Signum",
]
