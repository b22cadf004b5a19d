"""Axes of a front: they hold what must be shown and at least half of the points."""

from zerocross.reports.axes import axis


def test_an_axis_does_not_collapse_where_most_points_are_equal():
    for metric, values, shown in (
        ("bram", [0, 0, 0, 0, 0, 3, 8], [0]),
        ("lut", [100, 100, 100, 5000], [100]),
    ):
        low, high = axis(metric, values, shown).layout()["range"]
        scale = axis(metric, values, shown).logarithmic
        assert not scale and low <= min(values) < max(values) <= high


def test_points_far_beyond_the_front_do_not_squeeze_it():
    found = axis("lut", [100, 110, 120, 130, 5000], [100, 120])
    assert found.layout()["range"][1] < 1000
