"""Means since the last report, and a curve that never grows beyond its points."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from pantoum.training.run.run_state import MOST_POINTS, Curve, UpdateSums


def test_means_of_what_was_added():
    sums = UpdateSums()
    assert sums.mean_loss is None and sums.mean_accuracy is None
    sums.add(2.0, 0.25, 64)
    sums.add(4.0, 0.75, 64)
    assert (sums.mean_loss, sums.mean_accuracy, sums.tokens) == (3.0, 0.5, 128)


@given(st.integers(1, 2000), st.integers(1, 40))
@settings(max_examples=20)
def test_a_curve_keeps_its_newest_point_and_at_most_so_many(marks, every):
    curve = Curve()
    for step in range(1, marks + 1):
        curve.sums.add(1.0, 0.5, 8)
        curve.mark(step, 8 * step, 1.5 if step % every == 0 else None)
    steps = [point["step"] for point in curve.points]
    assert len(steps) <= MOST_POINTS and steps[-1] == marks and steps == sorted(set(steps))


def test_goes_on_the_same_after_json():
    curve, twin = Curve(), Curve()
    for step in range(1, 150):
        curve.sums.add(1 / step, 0.1, 3)
        curve.mark(step, step, None)
    curve.sums.add(0.1, 0.2, 3)
    twin = Curve.from_spec(json.loads(json.dumps(curve.spec())))
    for one in (curve, twin):
        for step in range(150, 300):
            one.mark(step, step, None)
    assert curve.spec() == twin.spec()
