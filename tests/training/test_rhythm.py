"""When things are due: on a grid of steps, or by what they cost."""

import pytest

from pantoum.training.run.budget import Span
from pantoum.training.timing import LEAVING, ByClock, BySteps, Costs


def due(rhythm, question, steps):
    return [step for step in steps if getattr(rhythm, question)(step, 0.0)]


def test_steps_have_twenty_evaluations_and_saves_and_a_last_one():
    rhythm = BySteps(Span(False, 0, 210), None)
    assert due(rhythm, "evaluation_due", range(1, 211)) == [*range(10, 211, 10)]
    assert due(rhythm, "saving_due", range(1, 211)) == [*range(10, 211, 10)]
    assert due(rhythm, "sample_due", range(10, 211, 10)) == [40, 80, 120, 160, 200, 210]
    assert rhythm.recovers_here(50, 0.0) and not rhythm.recovers_here(57, 0.0)


def test_short_runs_evaluate_at_each_step_and_an_asked_interval_is_added():
    assert due(BySteps(Span(False, 0, 7), None), "evaluation_due", range(1, 8)) == [1, 2, 3, 4, 5, 6, 7]
    asked = BySteps(Span(False, 100, 300), 7)
    assert due(asked, "saving_due", range(101, 120)) == [105, 110, 112, 119]


def test_by_the_clock_what_costs_more_comes_more_rarely():
    costs = Costs(saved_bytes=100)
    rhythm = ByClock(Span(True, 0.0, 100.0), costs, 0.0, None)
    assert not rhythm.evaluation_due(1, 1.9) and rhythm.evaluation_due(1, 2.0)
    rhythm.done("evaluation", 2.0)
    assert not rhythm.evaluation_due(1, 4.9) and rhythm.evaluation_due(1, 5.0)
    costs.evaluated(1.0, 1000)
    assert not rhythm.evaluation_due(1, 18.6) and rhythm.evaluation_due(1, 18.7)
    rhythm.done("evaluation", 66.7)
    assert not rhythm.evaluation_due(1, 75.0)
    costs.saved(0.2)
    assert not rhythm.saving_due(1, 19.9) and rhythm.saving_due(1, 20.1)
    rhythm.done("saving", 20.1)
    assert not rhythm.saving_due(1, 30.0)
    costs.saved(1000.0)
    assert rhythm.saving_due(1, 320.2)
    costs.sampling = 0.5
    assert not rhythm.sample_due(1, 49.0) and rhythm.sample_due(1, 50.0) and not rhythm.sample_due(1, 51.0)
    assert rhythm.point_due(1, 1.0) and not rhythm.point_due(1, 1.5)


def test_an_asked_interval_counts_steps_also_by_the_clock():
    rhythm = ByClock(Span(True, 0.0, 100.0), Costs(), 0.0, 4)
    assert due(rhythm, "saving_due", range(1, 10)) == [4, 8]


def test_the_reserve_is_what_the_end_was_measured_to_need():
    costs = Costs(saved_bytes=int(100e6))
    costs.stepped(1.0, 1000)
    assert costs.reserve(1000) > 1.5 + 0.3
    costs.evaluated(0.3, 1000)
    costs.saved(0.0)
    assert costs.reserve(2000) == pytest.approx(0.6 + 0.2)


def test_a_machine_that_became_busy_needs_longer_for_the_end():
    costs = Costs()
    costs.stepped(0.1, 1000)
    costs.evaluated(0.2, 10_000)
    idle = costs.reserve(100_000) - LEAVING
    for _ in range(30):
        costs.stepped(0.3, 1000)
    assert costs.reserve(100_000) - LEAVING == pytest.approx(3.0 * idle, rel=0.01)
    costs.evaluated(0.6, 10_000)  # measured on the busy machine
    assert costs.reserve(100_000) - LEAVING == pytest.approx(3.0 * idle, rel=0.01)


def test_a_machine_that_paused_needs_no_longer():
    costs = Costs()
    costs.stepped(0.1, 1000)
    costs.evaluated(0.2, 10_000)
    costs.stepped(30.0, 1000)
    assert costs.slower == pytest.approx(1.6) and costs.step == pytest.approx(0.16)
    for _ in range(10):
        costs.stepped(0.1, 1000)
    assert costs.slower < 1.1


@pytest.mark.parametrize("busy_from", range(0, 60, 3))
def test_a_minute_is_kept_whenever_another_process_takes_half_of_the_machine(busy_from):
    """Steps of 0.1 s, 6 s for the end, of which 1 s cannot be left out; twice as long on the busy machine."""
    now, left, span, costs = 0.0, 5.0, Span(True, 0.0, 60.0), Costs(saved_bytes=int(20e6))
    rhythm, step = ByClock(span, costs, 0.0, None), 0

    def busy(seconds):
        return seconds * (2.0 if now >= busy_from else 1.0)

    while not span.over(step, now, step_seconds=costs.step, reserve=costs.reserve(100_000)):
        took, step = busy(0.1), step + 1
        now += took
        costs.stepped(took, 4000)
        if rhythm.evaluation_due(step, now):
            costs.evaluated(busy(0.5), 10_000)
            now += costs.evaluation
            rhythm.done("evaluation", now)
    assert now >= 45.0
    while left > 0.0 and now < 62.0:  # later the reading is cut short
        now, left = now + busy(0.1), left - 0.1
    assert 57.0 <= now + busy(1.0) <= 66.0


def test_a_short_evaluation_does_not_make_a_long_one_dear():
    """A run of 24 s had kept back 6.7 s for an end that took 3.4 s."""
    costs = Costs()
    costs.stepped(0.188, 3760)
    costs.evaluated(1.195, 6145)
    assert costs.evaluation == 1.195 and costs.scored == pytest.approx(0.5 * 5e-5)
    assert costs.reserve(122_916) == pytest.approx(1.195 + 0.5 * 5e-5 * (122_916 - 6145) + 0.2)


def test_a_token_of_words_may_take_longer_to_score_than_to_train():
    """Training compares with samples, scoring with all words; a run of 600 s had ended 9.8 s late."""
    costs = Costs(exact=4.0)
    costs.stepped(1.0, 10_000)
    assert costs.a_token_scored == pytest.approx(1.6e-4)
    costs.evaluated(1.5, 10_000)
    assert costs.scored == pytest.approx(1.5e-4) and costs.reserve(100_000) == pytest.approx(15.2)


def test_a_short_run_has_enough_evaluations_for_a_curve():
    for length, cost in ((18.0, 0.05), (18.0, 0.09), (60.0, 0.1), (300.0, 0.1)):
        costs = Costs()
        rhythm, found = ByClock(Span(True, 0.0, length), costs, 0.0, None), []
        for tenth in range(int(10 * length)):
            if rhythm.evaluation_due(tenth, tenth / 10):
                found.append(tenth / 10)
                costs.evaluated(cost, 1000)
                rhythm.done("evaluation", tenth / 10)
        assert 8 <= len(found) <= 22 and found[0] <= 0.03 * length and len(found) * cost <= 0.07 * length


def test_the_time_of_a_step_is_a_mean_in_which_the_newest_counts_a_fifth():
    costs = Costs()
    costs.stepped(1.0, 100)
    costs.stepped(4.0, 100)
    assert costs.step == pytest.approx(1.6) and costs.token == pytest.approx(0.016)


def test_before_a_step_was_measured_an_evaluation_is_believed():
    costs = Costs()
    assert costs.token == costs.reserve(0) - 0.2 == 0.0
    assert costs.evaluation is None and costs.sampling == 0.0
    costs.evaluated(2.0, 1000)
    assert costs.scored == pytest.approx(0.002)


def test_half_a_save_more_than_the_last_one_took_is_kept_back():
    costs = Costs(saved_bytes=int(3e8))
    assert costs.saving == pytest.approx(3.0) and costs.reserve(0) == pytest.approx(4.5 + 0.2)


def test_points_of_the_curve_by_steps_count_from_the_spans_begin():
    assert due(BySteps(Span(False, 3, 503), None), "point_due", range(3, 30)) == [3, 8, 13, 18, 23, 28]
    assert due(BySteps(Span(False, 3, 53), None), "point_due", range(4, 8)) == [4, 5, 6, 7]
    assert due(BySteps(Span(False, 0, 250), None), "point_due", range(1, 8)) == [2, 4, 6]


def test_a_span_that_begins_later_has_its_grid_there():
    rhythm = BySteps(Span(False, 13, 213), None)
    for question in ("evaluation_due", "saving_due", "recovers_here"):
        assert due(rhythm, question, range(14, 44)) == [23, 33, 43]
    assert due(rhythm, "sample_due", range(14, 100)) == [53, 93]


def test_by_the_clock_recovery_has_a_checkpoint_each_twentieth_of_the_span():
    rhythm = ByClock(Span(True, 20.0, 60.0), Costs(), 20.0, 1)
    found = [second / 4 for second in range(80, 104) if rhythm.recovers_here(1, second / 4)]
    assert found == [20.0, 22.0, 24.0]


def test_a_save_is_due_when_its_pause_is_over_and_a_sample_when_one_was_measured():
    costs = Costs()
    costs.saved(0.1)
    rhythm = ByClock(Span(True, 20.0, 60.0), costs, 20.0, None)
    assert not rhythm.saving_due(1, 29.9) and rhythm.saving_due(1, 30.0)
    assert rhythm.sample_due(1, 20.5)


def test_by_the_clock_an_early_evaluation_needs_a_cheap_one():
    costs = Costs()
    costs.evaluation = 0.06 / 8 * 200.0  # as much as eight evaluations may take
    rhythm = ByClock(Span(True, 10.0, 210.0), costs, 10.0, None)
    assert not rhythm.evaluation_due(1, 13.9) and rhythm.evaluation_due(1, 14.0)
    costs.evaluation *= 1.01
    assert not rhythm.evaluation_due(1, 14.0)


def test_by_the_clock_an_evaluation_is_due_at_the_very_twentieth():
    rhythm = ByClock(Span(True, 0.0, 80.0), Costs(), 16.0, None)
    assert not rhythm.evaluation_due(1, 19.9) and rhythm.evaluation_due(1, 20.0)


def test_a_span_of_less_than_a_second_has_its_own_length():
    assert ByClock(Span(True, 0.0, 0.5), Costs(), 0.0, None).point_due(1, 0.005)
