from dataclasses import replace

from tests.reports.builds import make_build, make_long_build
from zerocross.reports.build_figures import builds_compared, counts_by_layer
from zerocross.reports.build_records import Build, BuildNode


def shown(figure):
    return {trace.name: list(trace.x) for trace in figure.data if trace.visible}


def test_layers_are_the_sums_of_their_nodes():
    build = make_build()
    values = shown(counts_by_layer(build))
    assert list(values) == ["our estimate", "synthesis"]
    fc1 = [node for node in build.nodes if node.layer == "fc1"]
    assert values["synthesis"][0] == sum(node.synthesis["ecp5"]["lut"] for node in fc1)
    assert values["our estimate"][0] == sum(node.estimate_zerocross["ecp5"]["lut"] for node in fc1)


def test_every_view_of_the_menu_is_of_one_family():
    figure = counts_by_layer(make_build())
    titles = [button.label for button in figure.layout.updatemenus[0].buttons]
    assert titles[:2] == ["LUT4, ECP5", "DP16KD (18 kbit), ECP5"]
    assert "BRAM18, 7-series" in titles
    for button in figure.layout.updatemenus[0].buttons:
        traces, layout = button.args
        assert layout["xaxis.title.text"] == button.label
        drawn = [trace.name for trace, visible in zip(figure.data, traces["visible"], strict=True) if visible]
        assert ("FINN's estimate" in drawn) == button.label.endswith("7-series")
        assert len(traces["x"]) == len(figure.data)


def test_nothing_known_is_no_figure():
    bare = Build("bare", "x")
    assert counts_by_layer(bare) is None
    assert builds_compared([bare, bare]) is None
    assert counts_by_layer(replace(bare, nodes=[BuildNode("a", "a", "other")])) is None


def test_builds_are_compared_by_what_most_of_them_know():
    finn = Build(
        "theirs", "FINN", family="7-series", nodes=[BuildNode("m", "m", "product", estimate_finn={"lut": 9})]
    )
    figure = builds_compared([make_build(), finn])
    assert figure.layout.xaxis.title.text == "LUT6, 7-series"
    assert shown(figure)["FINN's estimate"] == [3499, 9]
    assert shown(figure)["synthesis"] == [1502, None]
    views = {button.label: button for button in figure.layout.updatemenus[0].buttons}
    assert {"LUT4, ECP5", "highest clock (MHz)", "images a second at the usable clock"} <= set(views)


def test_every_layer_of_a_long_design_is_named():
    figure = counts_by_layer(make_long_build())
    assert list(figure.layout.yaxis.ticktext) == [*(f"conv{i}" for i in range(1, 9)), "add1"]
