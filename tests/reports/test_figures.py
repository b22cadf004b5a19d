from dataclasses import replace

import numpy as np
import pytest

from zerocross.reports import figures
from zerocross.reports.activation_records import ActivationRecord, Curve
from zerocross.reports.records import TrainingCurve


def named(figure, start):
    return next(trace for trace in figure.data if (trace.name or "").startswith(start))


def test_front_draws_every_feasible_evaluation_once(make_run):
    run = make_run(200, front=5)
    figure = figures.front(run)
    drawn = [i for trace in figure.data if trace.mode == "markers" for i in trace.customdata or ()]
    assert sorted(drawn) == sorted(e.id for e in run.evaluations if e.status == "ok")
    assert set(named(figure, "front").customdata) == {f.id for f in run.front}
    assert len(named(figure, "plain sign").x) == 6


def test_a_crowd_is_thinned_but_not_its_front(make_run, monkeypatch):
    monkeypatch.setattr("zerocross.reports.figure_front._MOST_DRAWN", 20)
    run = make_run(200, front=5)
    figure = figures.front(run)
    crowd = named(figure, "evaluated")
    ok = sum(e.status == "ok" for e in run.evaluations)
    assert len(crowd.x) == 20
    assert crowd.name == f"evaluated, 20 drawn ({ok - 5 - 6:,})"
    assert set(named(figure, "front").customdata) == {f.id for f in run.front}


def test_front_hover_has_expression_choices_cost_and_accuracy(make_run):
    run = make_run(200, front=5)
    text = named(figures.front(run), "front").hovertext[0]
    for part in ("<b>", "topology.hidden", "LUT ", "validation accuracy", "estimated"):
        assert part in text


def test_text_from_a_run_cannot_become_a_tag(make_run):
    run = make_run(30)
    odd = "max(x, '<img src=x>') & \"y\""
    run = replace(run, evaluations=[replace(e, expression=odd) for e in run.evaluations])
    text = named(figures.front(run), "evaluated").hovertext[0]
    assert "<img" not in text
    assert "&lt;img" in text
    assert "&amp;" in text


@pytest.mark.parametrize(
    ("objectives", "views"),
    [
        (("error",), 0),
        (("error", "lut"), 0),
        (("error", "lut", "latency"), 3),
        (("lut", "bram", "ii", "error"), 6),
    ],
)
def test_front_has_a_menu_of_all_pairs(make_run, objectives, views):
    figure = figures.front(make_run(60, objectives=objectives))
    menus = figure.layout.updatemenus
    assert (len(menus[0].buttons) if menus else 0) == views
    if "error" in objectives:
        assert figure.layout.yaxis.title.text == "validation error (%), linear scale"
    for button in menus[0].buttons if menus else ():
        data, _ = button.args
        assert len(data["x"]) == len(data["y"]) == len(figure.data)


def test_first_view_of_the_menu_is_what_is_drawn(make_run):
    figure = figures.front(make_run(60))
    data, layout = figure.layout.updatemenus[0].buttons[0].args
    assert [list(trace.x) for trace in figure.data] == [list(x) for x in data["x"]]
    assert layout["xaxis.title.text"] == figure.layout.xaxis.title.text


def test_outliers_stand_at_the_edge_and_are_marked(make_run):
    run = make_run(200, front=5, objectives=("error", "lut"))
    worst = max(e.number for e in run.evaluations if e.status == "ok" and not e.reference)
    run = replace(
        run,
        evaluations=[
            replace(e, metrics={**e.metrics, "error": 0.9, "lut": 1e6}) if e.number == worst else e
            for e in run.evaluations
        ],
    )
    figure = figures.front(run)
    assert figure.layout.xaxis.title.text == "LUT, linear scale"
    cloud = named(figure, "evaluated")
    place = list(cloud.customdata).index(run.evaluations[worst].id)
    assert cloud.marker.symbol[place] == "triangle-ne" and cloud.marker.symbol[0] == "circle"
    assert max(cloud.x) == cloud.x[place] <= figure.layout.xaxis.range[1] < 1e4
    assert cloud.y[place] <= figure.layout.yaxis.range[1] < 80
    front = named(figure, "front")
    assert max(front.x) < figure.layout.xaxis.range[1] and front.marker.symbol == "circle"


def test_the_knee_and_plain_signs_on_the_front_are_marked(make_run):
    run = make_run(60, front=4)
    sign = replace(run.references[0], metrics={**run.references[0].metrics, "error": 0.001})
    run = replace(run, front=[*run.front, sign])
    figure = figures.front(run)
    ringed = named(figure, "plain sign on the front")
    assert ringed.name == "plain sign on the front (1)" and list(ringed.customdata) == [sign.id]
    assert named(figure, "plain sign (").name == "plain sign (5)"
    assert len(named(figure, "knee").x) == 1


def test_front_line_falls_from_left_to_right(make_run):
    line = figures.front(make_run(200)).data[1]
    assert (np.diff(line.x) > 0).all()
    assert (np.diff(line.y) < 0).all()


def test_hypervolume_never_falls_and_stays_in_the_box(make_run):
    figure = figures.hypervolume_curve(make_run(200))
    search = named(figure, "search")
    assert search.x[-1] == 199
    assert (np.diff(search.y) >= 0).all()
    assert 0 <= search.y[0] <= search.y[-1] <= 1


def test_hypervolume_of_nothing_is_an_empty_figure(make_run):
    run = make_run(10)
    failed = [replace(e, status="failed", metrics={}) for e in run.evaluations]
    assert not figures.hypervolume_curve(replace(run, evaluations=failed, front=[])).data


def test_accuracy_shows_each_seed(make_run):
    run = make_run(60, front=3)
    figure = figures.accuracy_spread([*run.front, *run.references])
    for part in ("front, validation", "front, test"):
        trace = next(t for t in figure.data if t.name == part)
        assert len(trace.x) == 5 * len(run.front)


@pytest.mark.parametrize("seeds", [0, 1])
def test_accuracy_with_few_seeds_has_no_spread(make_run, seeds):
    run = make_run(60, front=3, seeds=seeds)
    figure = figures.accuracy_spread(run.front)
    assert all(not any(t.error_x.array) for t in figure.data if t.error_x.array is not None)
    assert bool(figure.data) == bool(seeds)


def site_of(values, crossings, step=2):
    low = -(len(values) - 1) * step // 2
    grid = list(range(low, low + step * len(values), step))
    return ActivationRecord(
        "layer0", "f", low, grid[-1], step, [len(crossings)], [Curve(3, grid, values, crossings)]
    )


def test_shade_covers_exactly_the_ones():
    figure = figures.curves(site_of([1.0, -1.0, -2.0, 3.0, 0.5], [-2, 2]))
    shade = named(figure, "bit = 1")
    edges = [x for x in shade.x if x is not None]
    assert [edges[0], edges[2], edges[4], edges[6]] == [-5, -3, 1, 5]


def test_marks_stand_between_the_integers_of_each_flip():
    figure = figures.curves(site_of([1.0, -1.0, -2.0, 3.0, 0.5], [-2, 2]))
    assert sorted({x for x in named(figure, "crossing").x if x is not None}) == [-3, 1]


@pytest.mark.parametrize(("value", "boxes"), [(1.0, 1), (-1.0, 0)])
def test_a_constant_channel_is_all_ones_or_all_zeros(value, boxes):
    figure = figures.curves(site_of([value] * 5, []))
    assert len([x for x in named(figure, "bit = 1").x if x is None]) == boxes
    assert not named(figure, "crossing").x


def test_shaded_bits_agree_with_the_curve(make_site):
    site = make_site("layer0", "mul(sin(x), sigmoid(x))", fan_in=784, limit=200)
    figure = figures.curves(site)
    for curve in site.curves:
        shade = [t for t in figure.data if t.name == "bit = 1"][site.curves.index(curve)]
        edges = [x for x in shade.x if x is not None]
        boxes = list(zip(edges[0::4], edges[2::4], strict=True))
        for a, value in zip(curve.accumulators, curve.values, strict=True):
            assert any(low < a < high for low, high in boxes) == (value >= 0)


def test_channel_menu_offers_each_and_all(make_site):
    figure = figures.curves(make_site("layer0", "tanh(x)", shown=3))
    buttons = figure.layout.updatemenus[0].buttons
    assert [b.label for b in buttons] == ["channel 0", "channel 1", "channel 2", "all channels shown"]
    assert all(len(b.args[0]["visible"]) == len(figure.data) for b in buttons)
    assert list(buttons[0].args[0]["visible"]) == [bool(t.visible is None or t.visible) for t in figure.data]


def test_cost_has_both_estimates_and_only_used_resources(make_nodes):
    figure = figures.cost_by_layer(make_nodes([64, 64], "tanh(x)"))
    assert [t.name for t in figure.data] == ["our estimate", "FINN's estimate"]
    assert [b.label for b in figure.layout.updatemenus[0].buttons] == ["LUT", "BRAM18"]


def test_learning_curves_end_with_the_whole_training(make_run):
    run = make_run()
    assert figures.learned(run) == []
    net = next(net for net in run.front if not net.reference)
    curve = TrainingCurve(3, 1.0, 0.9, [0.5, 0.4, 0.3], [1, 2], [0.6, 0.7])
    failed = TrainingCurve(4, 1.0, None, [0.5], [1], [0.6])
    unseen = TrainingCurve(5, 1.0, 0.9, [0.5])
    evaluations = [
        replace(e, trainings=[curve, failed, unseen]) if e.id == net.id else e for e in run.evaluations
    ]
    (line,) = figures.learning_curves(replace(run, evaluations=evaluations)).data
    assert list(line.x) == [1, 2, 3] and list(line.y) == pytest.approx([60, 70, 90])
    assert "seed 3" in line.hovertemplate and net.id in line.hovertemplate
