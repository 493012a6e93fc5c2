import numpy as np
import pandas as pd
import pytest

from optbench.reporting.thinning import thinned

STEPS = np.arange(0, 2001)
TWO = pd.concat(
    [pd.DataFrame({"step": STEPS, "of": name, "value": STEPS**0.5}) for name in ("a", "b")]
)


@pytest.mark.parametrize("log", [True, False])
def test_few_rows_are_left_the_same_for_all_and_none_is_changed(log: bool) -> None:
    few = thinned(TWO, points=40, log=log)
    one, other = (few.loc[few["of"] == name, "step"].tolist() for name in ("a", "b"))
    assert one == other
    assert 30 <= len(one) <= 41
    assert (one[0], one[-1]) == (0, 2000)
    assert (few["value"] == few["step"] ** 0.5).all()


def test_they_are_evenly_spread_over_the_axis() -> None:
    steps = thinned(TWO, points=40)["step"].unique()
    assert steps[1] == 1
    far = steps[steps > 50]
    ratio = far[1:] / far[:-1]
    assert ratio == pytest.approx(2000 ** (1 / 39), rel=0.03)
    even = np.diff(thinned(TWO, points=41, log=False)["step"].unique())
    assert set(even.tolist()) == {50}


def test_what_is_short_stays_as_it_is() -> None:
    short = TWO[TWO["step"] < 40]
    assert thinned(short, points=40) is short
