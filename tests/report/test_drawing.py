"""Axes, names beside points, and what pictures do with values that are hard to draw."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacedsl.report.labels import Label, Labels
from spacedsl.report.plot import BESIDE, Plot, Point, Series
from spacedsl.report.render import NARROW, WIDE
from spacedsl.report.rows import Mark, Row, Rows
from spacedsl.report.scale import Axis, scale
from spacedsl.report.svg import element

numbers = st.floats(-1e9, 1e9).filter(lambda v: v == 0 or abs(v) > 1e-6)


@given(st.lists(numbers, min_size=1, max_size=9), st.booleans(), st.booleans())
def test_values_stay_within_their_axis(values: list[float], log: bool, zero: bool) -> None:
    found = scale(values, Axis("", log, zero), 10, 300)
    assert all(10 <= found.at(value) <= 300 for value in values)
    ordered = sorted(values)
    assert [found.at(value) for value in ordered] == sorted(map(found.at, values))


@given(st.floats(0.001, 1e6), st.floats(1.001, 1e5), st.booleans(), st.integers(3, 9))
def test_ticks_are_few_round_and_on_the_axis(
    low: float, ratio: float, log: bool, most: int
) -> None:
    found = scale([low, low * ratio], Axis("", log), 0, 100)
    ticks = found.ticks(most)
    assert 1 <= len(ticks) <= most + 2
    assert all(found.low <= t <= found.high or t == pytest.approx(found.low) for t in ticks)
    assert sorted(set(ticks)) == list(ticks)


def test_names_that_would_meet_are_moved_or_left_out() -> None:
    labels = Labels()
    for _ in range(20):
        labels.add(Label(50, 50, "a long name", "label"))
    shapes = list(labels.placed(0, 0, 400, 100))
    assert 1 < len(shapes) < 20
    assert len(set(shapes)) == len(shapes)


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_one_value_and_none_are_drawn(width: int) -> None:
    """A single point, equal values, and rows without any."""
    x, y = Axis("x"), Axis("y", log=True)
    for points in ((), (Point(1, 1),), (Point(2, 5), Point(2, 5))):
        drawn = Plot(x, y, (Series("one", points, 0),), limits=((1.0, "limit"),))(width)
        _finite(" ".join(drawn.shapes))
    rows = (Row("a", (Mark(None, 0, note="not known"),)), Row("b", (Mark(0.0, 1),)))
    drawn = Rows(Axis("x", from_zero=True), rows, look="bars")(width)
    _finite(" ".join(drawn.shapes))


def test_a_line_of_one_point_is_a_dot() -> None:
    """A line of one point has no length, and nothing of it would be seen."""
    axis = Axis("steps")
    drawn = [
        " ".join(Plot(axis, axis, (Series("loss", points, 0, "line"),))(WIDE).shapes)
        for points in ((Point(8, 1.5),), (Point(8, 1.5), Point(9, 1.4)))
    ]
    assert ['class="m c0"' in svg for svg in drawn] == [True, False]


def _finite(svg: str) -> None:
    assert not re.search(r'"[^"]*\b(nan|inf)\b', svg)


def test_attributes_are_escaped() -> None:
    assert element("a", "<", b='"<&') == '<a b="&#34;&lt;&amp;">&lt;</a>'


def test_the_name_of_a_level_stands_where_no_line_runs() -> None:
    """At the other end, where the line of what is best so far ends beside it."""
    labels = Labels()
    labels.block_between(300, 38, 400, 38, 2)
    labels.add(Label(400, 30, "published", "limit-name", BESIDE, (20,)))
    (shown,) = labels.placed(20, 20, 400, 200)
    assert float(re.search(r'x="([\d.]+)"', shown)[1]) < 100  # type: ignore[index]
