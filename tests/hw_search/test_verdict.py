from dataclasses import replace

import pytest

from zerocross.hw_search.verdict import least_difference, p_value, verdict
from zerocross.reports.records import Control, Evaluation, Finalist

BASE = Finalist(
    id="a",
    expression="sin(x)",
    trained=["sin(x)"],
    choices={},
    reference=False,
    seeds=[1, 2, 3],
    validation=[0.9, 0.9, 0.9],
    test=[0.95, 0.96, 0.94],
    search_error=0.05,
    metrics={"error": 0.05, "lut": 500, "ii": 64},
    finn={},
    fps=1.0,
    nodes=[],
    sites=[],
    agreement={},
    savings={},
    weights="",
    build="",
    topology={},
    folding={},
    training={},
)
SIGN = replace(
    BASE,
    id="b",
    expression="x",
    reference=True,
    test=[0.90, 0.91, 0.92],
    metrics={"error": 0.09, "lut": 600, "ii": 64},
)


def test_better_in_both_is_said_with_its_significance() -> None:
    text = verdict([BASE], [SIGN], ["error", "lut", "ii"])
    assert "beats the plain sign" in text and "is significant" in text and "3 seeds" in text


def test_a_spread_that_covers_the_difference_is_not_significant() -> None:
    text = verdict([replace(BASE, test=[0.85, 0.99, 0.92])], [SIGN], ["error", "lut"])
    assert text.startswith("No activation of the front beats the plain sign significantly. ")
    assert "is not significant" in text and "beats the plain sign (" not in text


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"metrics": {"error": 0.05, "lut": 700, "ii": 64}}, "more LUT"),
        ({"metrics": {"error": 0.05, "lut": 500, "ii": 65}}, "slower, and speed is an objective"),
        ({"test": [0.9, 0.9, 0.9]}, "less accurate"),
    ],
)
def test_what_does_not_count_as_better(change: dict, why: str) -> None:
    assert verdict([replace(BASE, **change)], [SIGN], ["error", "lut", "ii"]).startswith("No network"), why


def test_beating_a_bad_plain_sign_counts_for_nothing() -> None:
    better = replace(
        SIGN, id="c", validation=[0.95] * 3, test=[0.97] * 3, metrics={"error": 0.05, "lut": 450, "ii": 64}
    )
    assert verdict([BASE], [SIGN, better], ["error", "lut"]).startswith("No network")


def test_nothing_to_compare() -> None:
    assert "plain sign is not beaten" in verdict([SIGN], [SIGN], ["error"])
    assert "No plain sign" in verdict([BASE], [], ["error"])
    assert p_value([1.0], [0.5, 0.6]) is None
    assert p_value([0.9, 0.9], [0.8, 0.8]) is None


def test_all_pairs_that_cost_less_are_corrected_for() -> None:
    worse = replace(BASE, id="d", test=[0.5, 0.6, 0.7])
    assert "for 2 pairs" in verdict([BASE, worse], [SIGN], ["error", "lut"])


def control(name: str, *test: float) -> Control:
    return Control(name, SIGN.id, ["x"], "window", [1, 2, 3], list(test), list(test))


def test_a_gain_that_a_control_has_too_is_no_gain_of_the_activation() -> None:
    controls = [control("shifted", 0.91, 0.92, 0.93), control("polynomial", 0.955, 0.965, 0.945)]
    text = verdict([BASE], [SIGN], ["error", "lut"], controls)
    assert "beats the plain sign" in text
    assert "but not the plain sign with the surrogate gradient polynomial (95.5 ± 1.0 %)" in text
    assert text.startswith("No activation of the front shows a gain of its own, over 3 seeds. ")
    assert "significant" not in text
    other = [replace(entry, sign="another plain sign") for entry in controls]
    assert verdict([BASE], [SIGN], ["error", "lut"], other) == verdict([BASE], [SIGN], ["error", "lut"])


def test_the_hardest_of_all_comparisons_decides() -> None:
    controls = [control("shifted", 0.93, 0.95, 0.94), control("tanh", 0.9, 0.9, 0.91)]
    text = verdict([BASE], [SIGN], ["error", "lut"], controls)
    hardest = p_value(BASE.test, controls[0].test)
    assert hardest is not None and hardest > max(
        p_value(BASE.test, other) or 0 for other in (SIGN.test, controls[1].test)
    )
    assert "its best control, the plain sign with a shifted start (94.0 ± 1.0 %)" in text
    assert (
        "from the plain sign and its 2 controls is not significant" in text and f"p = {hardest:.2g}" in text
    )
    worse = replace(BASE, id="d", test=[0.5, 0.6, 0.7])
    assert f"p = {2 * hardest:.2g}, Bonferroni-corrected for 2 pairs" in verdict(
        [BASE, worse], [SIGN], ["error", "lut"], controls
    )


def evaluation(number: int, id: str, reference: bool = False) -> Evaluation:
    return Evaluation(number, id, "x" if reference else "sin(x)", {}, reference, "ok")


def test_nothing_is_judged_that_was_not_trained_again() -> None:
    whole = [evaluation(0, "a"), evaluation(1, "b", reference=True)]
    text = verdict([SIGN], [SIGN], ["error"], whole=whole)
    assert text.startswith("No verdict on activations: the search's front has 1 network with a searched")
    assert "not beaten" in verdict([SIGN], [SIGN], ["error"], whole=whole[1:])
    assert text.endswith("final.networks trains more.")
    text = verdict([SIGN], [SIGN], ["error"], whole=whole, lost=["a"])
    assert text.endswith("none was trained again: the final training of 1 failed.")


def test_a_front_that_was_cut_is_said_beside_the_verdict() -> None:
    whole = [evaluation(0, "a"), evaluation(1, "c"), evaluation(2, "b", reference=True)]
    text = verdict([BASE], [SIGN], ["error", "lut"], whole=whole)
    assert text.endswith(" 1 of the front's 2 searched activations were not trained again.")
    assert "trained again" not in verdict([BASE], [SIGN], ["error", "lut"], whole=whole[::2])


@pytest.mark.parametrize("level", [0.05, 0.01])
def test_the_least_difference_has_the_level_as_its_p_value(level: float) -> None:
    one, other = [0.90, 0.93, 0.91], [0.88, 0.86, 0.91, 0.87]
    change = least_difference(one, other, level) - (sum(one) / 3 - sum(other) / 4)
    assert p_value([value + change for value in one], other) == pytest.approx(level)


def test_what_would_have_been_significant_is_said() -> None:
    better, worse = [0.85, 0.99, 0.92], SIGN.test
    points = 100 * least_difference(better, worse, 0.05)
    text = verdict([replace(BASE, test=better)], [SIGN], ["error", "lut"])
    assert text.endswith(f"With this spread, {points:.1f} points would be.")


def test_tables_take_no_part() -> None:
    table = replace(
        SIGN, id="t", reference=False, test=[0.99, 0.98, 0.99], metrics={"error": 0.01, "lut": 100, "ii": 64}
    )
    objectives = ["error", "lut"]
    assert verdict([BASE, table], [SIGN], objectives) == verdict([BASE], [SIGN], objectives)
    assert "have no activation" in verdict([table], [], objectives)
    assert verdict([SIGN, table], [SIGN], objectives).startswith("No searched activation is on the front")
