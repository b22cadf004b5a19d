from dataclasses import replace

import numpy as np
import pytest

from zerocross.reports import summary
from zerocross.reports.records import Evaluation


def lost(status, reason, number=0):
    return Evaluation(number, "a", "x", {}, False, status, reason)


def test_objectives_of_what_did_not_come_out_are_unknown(make_run):
    run = make_run(100)
    points = summary.objective_points(run.evaluations, ["error", "lut"])
    ok = np.array([e.status == "ok" for e in run.evaluations])
    assert points.shape == (100, 2)
    assert (np.isfinite(points).all(axis=1) == ok).all()
    assert summary.objective_points([], ["error"]).shape == (0, 1)


def test_losses_are_grouped_by_reason_numbers_aside():
    found = summary.losses(
        [
            lost("infeasible", "needs 6,000 LUT, the part has 5,280"),
            lost("failed", "loss became NaN"),
            lost("infeasible", "needs 7,123 LUT, the part has 5,280"),
            lost("failed", None),
            Evaluation(4, "b", "x", {}, False, "ok", None, {"lut": 1.0}),
        ]
    )
    assert [(loss.count, loss.status, loss.alike) for loss in found] == [
        (2, "infeasible", True),
        (1, "failed", False),
        (1, "failed", False),
    ]
    assert found[0].reason == "needs 6,000 LUT, the part has 5,280"
    assert found[2].reason == "no reason recorded"


def test_candidates_and_plain_signs_count_separately():
    candidate = lost("failed", "loss became NaN")
    sign = replace(candidate, reference=True)
    assert summary.tried([candidate, sign, candidate, sign, sign]) == "2 candidates and 3 plain signs"
    assert summary.tried([candidate]) == "1 candidate" and summary.tried([]) == "0 candidates"


def test_front_is_the_final_one_or_else_the_best_so_far(make_run):
    run = make_run(200, front=4)
    assert {e.id for e in summary.front_evaluations(run)} == {f.id for f in run.front}
    running = replace(run, front=[], references=[], finished=False)
    best = summary.front_evaluations(running)
    assert best
    assert all(e.status == "ok" for e in best)
    assert summary.front_evaluations(make_run(0, finished=False)) == []


def test_an_id_seen_twice_is_on_the_front_once(make_run):
    run = make_run(100, front=3)
    again = replace(summary.front_evaluations(run)[0], number=100)
    assert len(summary.front_evaluations(replace(run, evaluations=[*run.evaluations, again]))) == 3


def test_gain_is_against_the_plain_sign_of_the_same_choices(make_run):
    run = make_run(20)
    plain = run.references[0]
    found = replace(
        plain,
        id="new",
        reference=False,
        test=[0.9, 0.92],
        metrics={**plain.metrics, "lut": plain.metrics["lut"] - 40},
    )
    plain = replace(plain, test=[0.88, 0.90])
    gain = summary.gain(found, [run.references[1], plain])
    assert gain is not None
    assert gain.reference == plain.id
    assert gain.accuracy == pytest.approx(0.02)
    assert gain.error == pytest.approx((2 * 0.0002 / 2) ** 0.5)
    assert gain.lut == -40
    assert summary.gain(replace(found, choices={"other": 1}), [plain]) is None


@pytest.mark.parametrize(("test", "known"), [([], False), ([0.9], True)])
def test_gain_claims_no_error_from_few_seeds(make_run, test, known):
    plain = make_run(20).references[0]
    gain = summary.gain(replace(plain, test=test), [plain])
    assert gain is not None
    assert (gain.accuracy is not None) == known
    assert gain.error is None


def test_layer_costs_sum_to_the_network(make_nodes):
    nodes = make_nodes([64, 32], "tanh(x)")
    layers = summary.layer_costs(nodes)
    assert [cost.layer for cost in layers] == ["layer0", "layer1", "classifier"]
    for side in ("finn", "zerocross"):
        for key in ("lut", "bram", "dsp"):
            total = sum(getattr(node, side)[key] for node in nodes)
            assert sum(getattr(cost, side)[key] for cost in layers) == pytest.approx(total)
    assert layers[0].cycles == max(node.cycles for node in nodes if node.layer == "layer0")
    assert layers[0].implementations == "comparators"
