"""The guard: what is skipped, what is rolled back, what is the text's own doing, and when it gives up."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pantoum.training.update.update_guard import NEAR, UpdateGuard, Verdict

ACCEPT, SKIP, ROLL_BACK = Verdict.ACCEPT, Verdict.SKIP, Verdict.ROLL_BACK


def calm(vocab_size=98, steps=40):
    """A guard that has seen losses between 1.4 and 1.6."""
    guard = UpdateGuard(vocab_size)
    for step in range(steps):
        assert guard.judge(step, 1.5 + 0.1 * math.sin(step), 0.5) is ACCEPT
    return guard


@given(st.lists(st.floats(0.0, 13.0), max_size=15))
def test_early_losses_of_any_sane_size_are_accepted(losses):
    guard = UpdateGuard(98)
    assert [guard.judge(step, loss, 1.0) for step, loss in enumerate(losses)] == [ACCEPT] * len(losses)


@pytest.mark.parametrize(
    ("loss", "norm"),
    [
        (math.nan, 1.0),
        (math.inf, 1.0),
        (1.5, math.nan),
        (1.5, math.inf),
        (150.0, 1.0),
        (3.2, 1.0),
    ],
)
def test_what_is_not_finite_or_a_spike_is_skipped_at_once(loss, norm):
    guard = calm()
    assert guard.judge(40, loss, norm) is SKIP and guard.skipped == 1
    assert "step 40" in guard.last_reason and "skipped" in guard.last_reason
    assert guard.judge(41, 1.5, 0.5) is ACCEPT


def test_a_wrong_start_is_caught_without_any_history():
    assert UpdateGuard(98).judge(0, 15.0, 1.0) is SKIP


def test_a_norm_however_large_is_no_fault_since_it_is_clipped():
    assert calm().judge(40, 1.5, 1e9) is ACCEPT


def test_a_memorised_text_may_stumble():
    guard = UpdateGuard(98)
    for step in range(40):
        guard.judge(step, 0.01, 0.5)
    assert guard.judge(40, 0.9, 0.5) is ACCEPT


def test_three_in_a_row_roll_back_at_half_the_rate_and_a_fourth_time_gives_up():
    guard = calm()
    good = guard.spec()
    for rollback in range(3):
        assert [guard.judge(step, math.nan, 1.0) for step in (40, 41, 42)] == [SKIP, SKIP, ROLL_BACK]
        guard.rolled_back(42, good)
        assert guard.rate_factor == 0.5 ** (rollback + 1)
    assert [guard.judge(step, math.nan, 1.0) for step in (40, 41, 42)] == [SKIP, SKIP, ROLL_BACK]
    assert guard.gives_up(42) and "3 times in a row" in guard.last_reason and guard.skipped == 8


def test_a_spike_that_comes_back_at_the_same_place_is_the_texts_own():
    guard = calm()
    good = guard.spec()
    assert [guard.judge(step, 5.0, 1.0) for step in (40, 41, 42)] == [SKIP, SKIP, ROLL_BACK]
    guard.rolled_back(42, good)
    assert [guard.judge(step, 5.0, 1.0) for step in (40, 41, 42)] == [SKIP, SKIP, ACCEPT]
    assert "this part of the text is unusual" in guard.last_reason
    assert guard.judge(43, 5.0, 1.0) is ACCEPT


def test_an_absurd_loss_is_never_the_texts_own():
    guard = calm()
    for _ in range(2):
        assert [guard.judge(step, 500.0, 1.0) for step in (40, 41, 42)] == [SKIP, SKIP, ROLL_BACK]
        guard.rolled_back(42, None)


def after_a_rollback(loss, again, vocab_size=98):
    """A calm guard whose third bad loss at step 42 is ``loss``, and after the rollback ``again``."""
    guard = calm(vocab_size)
    good = guard.spec()
    assert [guard.judge(step, loss, 1.0) for step in (40, 41, 42)] == [SKIP, SKIP, ROLL_BACK]
    guard.rolled_back(42, good)
    assert not guard.last_reason, "it was told with the rollback"
    return guard, [guard.judge(step, again, 1.0) for step in (40, 41, 42)][-1]


@pytest.mark.parametrize(("again", "verdict"), [(30.0, ACCEPT), (20.0, ROLL_BACK), (45.0, ROLL_BACK)])
def test_a_loss_beyond_a_sane_models_is_the_texts_if_half_the_rate_does_not_change_it(again, verdict):
    guard, found = after_a_rollback(31.0, again)
    assert found is verdict and guard.rate_factor == (1.0 if verdict is ACCEPT else 0.5)


def test_a_height_that_the_text_has_caused_is_no_spike_any_more():
    guard, _ = after_a_rollback(31.0, 30.0)
    for step in range(43, 80):
        assert guard.judge(step, 1.5, 0.5) is ACCEPT
    assert guard.judge(80, 1.25 * 30.0, 1.0) is ACCEPT and guard.judge(81, 1.26 * 30.0, 1.0) is SKIP


def test_a_spike_that_half_the_rate_lowers_to_a_sane_loss_is_accepted_at_half_the_rate():
    guard, found = after_a_rollback(31.0, 9.0)
    assert found is ACCEPT and guard.rate_factor == 0.5 and guard.limit < 31.0


def test_the_first_limit_is_three_uniform_guesses_and_a_nat_for_the_smallest_vocabulary_too():
    assert UpdateGuard(1).limit == UpdateGuard(2).limit == pytest.approx(3.0 * math.log(2) + 1.0)


def test_only_the_last_64_losses_count():
    guard = calm(steps=100)
    twin = UpdateGuard(98)
    twin.restore({**guard.spec(), "losses": [9.0, *guard.spec()["losses"]]})
    assert len(guard.spec()["losses"]) == len(twin.spec()["losses"]) == 64
    guard.judge(100, 1.5, 0.5)
    assert len(guard.spec()["losses"]) == 64


@pytest.mark.parametrize(
    ("loss", "norm", "words"),
    [
        (5.0, 0.5, "step 40: loss 5 is a spike above"),
        (math.nan, 0.5, "step 40: loss nan, gradient norm 0.5"),
    ],
)
def test_the_reason_says_what_was_wrong(loss, norm, words):
    guard = calm()
    guard.judge(40, loss, norm)
    assert guard.last_reason.startswith(words)


def test_after_a_spike_of_the_text_it_takes_three_bad_ones_again():
    guard, _ = after_a_rollback(31.0, 30.0)
    assert not guard.in_trouble
    assert [guard.judge(step, math.nan, 1.0) for step in (43, 44, 45)] == [SKIP, SKIP, ROLL_BACK]


def test_bounds_belong_to_what_the_text_may_cause():
    sane = 3.0 * math.log(98) + 1.0
    for first, again in ((40.0, 30.0), (30.0, 30.0 * 1.33), (10.0 * sane, 10.0 * sane)):
        guard, found = after_a_rollback(first, again)
        assert found is ACCEPT and guard.rate_factor == 1.0, (first, again)
    assert after_a_rollback(500.0, sane)[1] is ACCEPT


def test_where_it_was_not_finite_before_nothing_is_as_high():
    guard, found = after_a_rollback(math.nan, 40.0)
    assert found is ROLL_BACK
    guard, found = after_a_rollback(math.inf, 9.0)
    assert found is ACCEPT and guard.rate_factor == 0.5


def test_its_whole_record_is_kept():
    guard, _ = after_a_rollback(31.0, 30.0)
    good = guard.spec()
    for step in (60, 61, 62):
        guard.judge(step, 50.0, 1.0)
    guard.rolled_back(62, good)
    record = guard.spec()
    assert record["height"] == 50.0 and record["of_the_text"] == 30.0 and record["incident"] == 62
    guard.rolled_back(90, good)
    assert guard.spec()["rollbacks_before"] == 1 and guard.spec()["rollbacks"] == 2
    twin = UpdateGuard(98)
    twin.restore(guard.spec())
    assert twin.spec() == guard.spec() and twin.gives_up(90) == guard.gives_up(90)
    assert twin.limit == guard.limit


def test_its_record_goes_through_json_and_goes_on_the_same():
    guard = calm()
    guard.judge(40, math.nan, 1.0)
    twin = UpdateGuard(98)
    twin.restore(json.loads(json.dumps(guard.spec())))
    assert twin.spec() == guard.spec() and twin.limit == guard.limit
    assert [g.judge(41, 99.0, 1.0) for g in (guard, twin)] == [SKIP, SKIP]
    assert [g.judge(42, 99.0, 1.0) for g in (guard, twin)] == [ROLL_BACK, ROLL_BACK]


def test_trouble_in_other_places_begins_anew_until_the_rate_is_a_sixty_fourth():
    guard = calm()
    good = guard.spec()
    for number, step in enumerate((42, 82, 122, 162, 202, 242)):
        assert not guard.gives_up(step)
        assert [guard.judge(at, math.nan, 1.0) for at in range(step - 2, step + 1)] == [SKIP, SKIP, ROLL_BACK]
        guard.rolled_back(step, good)
        assert guard.rate_factor == 0.5 ** (number + 1)
    assert guard.gives_up(282)


def test_a_fourth_time_in_one_place_is_one_too_many_whatever_was_before():
    guard = calm()
    good = guard.spec()
    guard.rolled_back(20, good)
    for _ in range(3):
        assert not guard.gives_up(42)
        guard.rolled_back(42, good)
    assert guard.gives_up(42) and guard.gives_up(42 + NEAR) and not guard.gives_up(43 + NEAR)


def test_a_sane_spike_that_was_accepted_at_half_the_rate_is_no_spike_the_next_time():
    guard, found = after_a_rollback(16.0, 9.0)
    assert found is ACCEPT and guard.rate_factor == 0.5
    for step in range(43, 120):
        assert guard.judge(step, 1.5, 0.5) is ACCEPT
    assert guard.judge(120, 1.25 * 9.0, 1.0) is ACCEPT and guard.judge(121, 1.26 * 9.0, 1.0) is SKIP


@pytest.mark.parametrize(("later", "verdict"), [(1, ACCEPT), (NEAR, ACCEPT), (NEAR + 1, ROLL_BACK)])
def test_a_passage_that_is_a_spike_a_little_later_at_half_the_rate_is_the_same_one(later, verdict):
    guard = calm()
    good = guard.spec()
    assert [guard.judge(step, 12.0, 1.0) for step in (40, 41, 42)] == [SKIP, SKIP, ROLL_BACK]
    guard.rolled_back(42, good)
    assert [guard.judge(step + later, 11.0, 1.0) for step in (40, 41, 42)][-1] is verdict


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_the_record_of_a_loss_that_is_not_finite_can_be_kept(loss):
    guard, _ = after_a_rollback(loss, 9.0)
    assert guard.spec()["height"] is None and json.dumps(guard.spec(), allow_nan=False)


def test_a_new_guard_knows_of_no_trouble():
    guard = UpdateGuard(98)
    assert guard.last_reason == "" and not guard.in_trouble and guard.rate_factor == 1.0
    assert guard.spec() == {
        "losses": [],
        "bad_in_a_row": 0,
        "incident": None,
        "height": None,
        "rollbacks_before": 0,
        "of_the_text": 0.0,
        "skipped": 0,
        "rollbacks": 0,
    }
