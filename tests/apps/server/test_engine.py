"""The engine: slots and queue are bounded, long prompts stall nobody, whoever goes away frees its slot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import pantoum
from pantoum.apps.server import job as jobs
from pantoum.apps.server.engine import Engine
from pantoum.apps.server.job import UNREAD, Inbox, Job, Writing, Written
from pantoum.apps.server.refusals import RequestError
from pantoum.config import SamplingConfig
from pantoum.inference.reading import Reading
from pantoum.inference.writing.stream_batch import StreamBatch

Play = Callable[[Callable[[Engine], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(model: pantoum.Model) -> Play:
    """Run a coroutine with an engine of 3 slots and 2 places."""

    def call(body: Callable[[Engine], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            engine = Engine(model._loaded, 3, 2, asyncio.get_running_loop())
            try:
                await asyncio.wait_for(body(engine), 300)
            finally:
                engine.stop()
                assert await asyncio.to_thread(engine.join, 120)

        asyncio.run(main())

    return call


def inbox(engine: Engine) -> Inbox:
    return Inbox(engine.cancel, engine.pause)


async def finished(box: Inbox) -> None:
    """Wait until all jobs are done."""
    async for _ in box.events():
        pass


def job(engine: Engine, length: int, prompt: str = "The cat", count: int = 1) -> Job:
    reading = Reading(engine.model, None, engine.model.tokenizer.encode(prompt))
    return inbox(engine).job(
        reading, Writing(length, SamplingConfig(temperature=1), 1, count) if length else None
    )


async def freed(engine: Engine) -> None:
    while engine.taken:
        await asyncio.sleep(0.001)


def test_beyond_slots_and_queue_it_is_full_until_one_ends(play: Play) -> None:
    async def body(engine: Engine) -> None:
        jobs = [job(engine, 10**6) for _ in range(5)]
        for one in jobs:
            engine.submit(one)
        with pytest.raises(RequestError, match="all slots and all places"):
            engine.submit(job(engine, 1))
        for one in jobs[:4]:
            engine.cancel(one)
        while engine.taken > 1:  # the last text may have paused, because nobody reads it
            await asyncio.sleep(0.001)
        last = job(engine, 5)
        engine.submit(last)
        await finished(last.inbox)
        engine.cancel(jobs[4])
        await freed(engine)

    play(body)


def test_the_jobs_of_a_request_are_taken_together_or_not_at_all(play: Play) -> None:
    async def body(engine: Engine) -> None:
        three = [job(engine, 10**6) for _ in range(3)]
        engine.submit(*three)
        for count, why in ((3, "this request needs 3"), (6, "has 6 texts: this server takes 5 at once")):
            with pytest.raises(RequestError, match=why):
                engine.submit(*(job(engine, 1) for _ in range(count)))
        assert engine.taken == 3
        engine.cancel(*three)
        await freed(engine)
        engine.places = 40
        with pytest.raises(RequestError, match="this request needs 40"):  # some places are for other clients
            engine.submit(*(job(engine, 1) for _ in range(40)))
        assert not engine.taken

    play(body)


def test_events_come_in_order_and_hold_the_whole_text(play: Play, model: pantoum.Model) -> None:
    expected = model.generate("The cat", length=80, exact=True, seed=1, count=2, temperature=1.0)

    async def body(engine: Engine) -> None:
        one = job(engine, 80, count=2)
        engine.submit(one)
        events = [event async for found in one.inbox.events() for _, event in found]
        assert events.pop(0) is one.reading
        for number in range(2):
            own = [event for event in events if isinstance(event, Written) and event.number == number]
            assert "".join(event.text for event in own) == expected[number]
            assert [event.end and event.end.tokens for event in own] == [None] * (len(own) - 1) + [80]
        await freed(engine)

    play(body)


def test_a_long_prompt_is_read_between_the_steps_of_others(play: Play) -> None:
    async def body(engine: Engine) -> None:
        writer, reader = job(engine, 10**6), job(engine, 0, "The cat sat. " * 20_000)
        engine.submit(writer)
        order = []
        async for _ in writer.inbox.events():
            if not order:
                engine.submit(reader)
            order.append(reader.done)
            if reader.done:
                break
        engine.cancel(writer)
        assert order.count(False) > 5  # the writer's events went on while the prompt was read
        await freed(engine)

    play(body)


def test_a_text_whose_client_reads_slowly_pauses_and_loses_nothing(play: Play, model: pantoum.Model) -> None:
    expected = model.generate("The cat", length=20_000, exact=True, seed=1, temperature=1.0)

    async def body(engine: Engine) -> None:
        slow = job(engine, 20_000)
        engine.submit(slow)
        text, waited = "", 0
        try:
            async for found in slow.inbox.events():
                text += "".join(event.text for _, event in found if isinstance(event, Written))
                if waited < 2 and len(text) < 10_000:
                    waited += 1
                    while not (slow.inbox._paused and slow.paused):  # until as much waits as may wait
                        await asyncio.sleep(0.001)
                    assert UNREAD < engine.counters["tokens_written"] - len(text) < 20_000 - len(text)
        finally:
            engine.cancel(slow)
        assert text == expected

    play(body)


def test_a_step_that_fails_is_told_to_its_jobs_and_the_next_ones_work(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body(engine: Engine) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(StreamBatch, "round", lambda self: 1 / 0)
            one = job(engine, 5)
            engine.submit(one)
            with pytest.raises(ZeroDivisionError):
                await finished(one.inbox)
        two = job(engine, 5)
        engine.submit(two)
        await finished(two.inbox)
        await freed(engine)

    play(body)


def test_a_stopped_engine_finishes_what_it_has_and_takes_no_more(play: Play) -> None:
    async def body(engine: Engine) -> None:
        jobs = [job(engine, 200) for _ in range(5)]
        for one in jobs:
            engine.submit(one)
        engine.stop()
        with pytest.raises(RequestError, match="is stopping"):
            engine.submit(job(engine, 1))
        for one in jobs:
            await finished(one.inbox)
        assert await asyncio.to_thread(engine.join, 120)

    play(body)


@pytest.mark.parametrize("wait", [0, 3])
def test_a_request_that_takes_too_long_is_an_error_and_its_slots_are_free(
    play: Play, monkeypatch: pytest.MonkeyPatch, wait: int
) -> None:
    monkeypatch.setattr(jobs, "LONGEST", 0.05)

    async def body(engine: Engine) -> None:
        writers = [job(engine, 10**6) for _ in range(wait)]
        late = job(engine, 10**6, count=2)
        for one in [*writers, late]:
            engine.submit(one)
        with pytest.raises(TimeoutError):
            await finished(late.inbox)
        for one in writers:
            engine.cancel(one)
        await freed(engine)

    play(body)


def test_a_text_whose_client_does_not_read_gives_its_slot_to_others(play: Play, model: pantoum.Model) -> None:
    expected = model.generate("The cat", length=5000, exact=True, seed=1, temperature=1.0)

    async def body(engine: Engine) -> None:
        slow = [job(engine, 5000) for _ in range(5)]
        for one in slow:
            engine.submit(one)
            engine.pause(one, True)
        while engine.taken:
            await asyncio.sleep(0.001)
        for _ in range(4):
            other = job(engine, 20, count=3)
            engine.submit(other)
            await finished(other.inbox)
        for one in slow:
            engine.pause(one, False)
        for one in slow:
            events = [event async for found in one.inbox.events() for _, event in found]
            assert "".join(event.text for event in events if isinstance(event, Written)) == expected
        await freed(engine)

    play(body)


def test_a_client_that_goes_away_and_is_then_said_to_read_slowly_leaves_no_place_taken(play: Play) -> None:
    async def body(engine: Engine) -> None:
        slow = job(engine, 10**6, count=3)
        engine.submit(slow)
        while not slow.texts:
            await asyncio.sleep(0.001)
        engine.pause(slow, True)
        while not slow.unplaced:
            await asyncio.sleep(0.001)
        engine.cancel(slow)
        engine.pause(slow, True)  # for what was on its way when the client went
        engine.pause(slow, False)
        last = job(engine, 5)
        engine.submit(last)
        await finished(last.inbox)
        await freed(engine)
        for one in [job(engine, 5) for _ in range(5)]:  # all slots and places are there
            engine.submit(one)
            await asyncio.sleep(0)
        await freed(engine)

    play(body)


def test_small_requests_pass_a_large_one_which_gets_slots_as_they_come_free(play: Play) -> None:
    async def body(engine: Engine) -> None:
        writer, large, small = job(engine, 10**6), job(engine, 10**6, count=3), job(engine, 5)
        for one in (writer, large, small):
            engine.submit(one)
        begun = large.inbox.events()
        await anext(begun)
        engine.cancel(writer)
        await finished(small.inbox)
        numbers: set[int] = set()
        while numbers != {0, 1, 2}:
            numbers |= {event.number for _, event in await anext(begun) if isinstance(event, Written)}
        engine.cancel(large)
        await freed(engine)

    play(body)


def test_a_slot_goes_to_the_client_that_has_fewest_and_some_places_are_kept_for_others(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No text pauses because nobody reads it, and none makes room when its slice is over: on a machine of any
    # speed only the cancellation and the end of a text free a slot.
    monkeypatch.setattr(jobs, "UNREAD", 10**9)
    monkeypatch.setattr(jobs, "SLICE", 10**6)

    async def body(engine: Engine) -> None:
        engine.places = 40
        taken = []
        with pytest.raises(RequestError, match="all slots and all places"):
            for _ in range(43):
                engine.submit(one := job(engine, 10**6))
                taken.append(one)
        assert len(taken) == 33
        other = job(engine, 5)
        other.client = "another"
        engine.submit(other)
        engine.cancel(taken[0])
        await finished(other.inbox)
        assert not any(one.begun for one in taken[4:])
        for one in taken[1:]:
            engine.cancel(one)
        await freed(engine)

    play(body)


def test_a_prompt_that_is_read_while_its_client_reads_slowly_is_written_after_when_it_has_read(
    play: Play, model: pantoum.Model
) -> None:
    prompt = "The cat sat. " * 5000
    expected = model.generate(prompt, length=50, exact=True, seed=1, count=2, temperature=1.0)

    async def body(engine: Engine) -> None:
        slow = job(engine, 50, prompt, count=2)
        engine.submit(slow)
        engine.pause(slow, True)
        texts = ["", ""]
        async for found in slow.inbox.events():
            for _, event in found:
                if isinstance(event, Reading):
                    await asyncio.sleep(0.2)
                    assert engine.counters["tokens_written"] == 0
                    engine.pause(slow, False)
                elif isinstance(event, Written):
                    texts[event.number] += event.text
        assert texts == expected
        await freed(engine)

    play(body)


def test_a_long_prompt_delays_no_prompt_of_another_kind(play: Play) -> None:
    async def body(engine: Engine) -> None:
        tokens = engine.model.tokenizer.encode("The cat sat. " * 20_000)
        long = inbox(engine).job(Reading(engine.model, None, tokens, alternatives=3))
        engine.submit(long)
        while not engine.counters["tokens_read"]:
            await asyncio.sleep(0.001)
        short = job(engine, 5)
        engine.submit(short)
        await finished(short.inbox)
        assert not long.done
        engine.cancel(long)
        await freed(engine)

    play(body)


def test_whoever_wants_one_slot_gets_it_also_where_endless_texts_have_all(
    play: Play, model: pantoum.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 0.05)
    expected = model.generate("The cat", length=20_000, exact=True, seed=1, temperature=1.0)

    async def body(engine: Engine) -> None:
        large = job(engine, 10**6, count=3)
        engine.submit(large)
        text = ""
        events = large.inbox.events()
        while len(text) < 3000:
            small = job(engine, 5)
            engine.submit(small)
            await finished(small.inbox)
            text += "".join(
                event.text
                for _, event in await anext(events)
                if isinstance(event, Written) and event.number == 0
            )
        assert expected.startswith(text[:20_000])
        await events.aclose()  # type: ignore[attr-defined]
        engine.cancel(large)
        await freed(engine)

    play(body)


def test_whoever_wants_one_slot_gets_it_also_where_long_prompts_are_read_in_all(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "SLICE", 0.05)

    async def body(engine: Engine) -> None:
        long = [job(engine, 0, "The cat sat. " * 40_000) for _ in range(4)]
        for one in long:
            engine.submit(one)
        while not engine.counters["tokens_read"]:
            await asyncio.sleep(0.001)
        small = job(engine, 5)
        engine.submit(small)
        await finished(small.inbox)
        assert not any(one.done for one in long)
        for one in long:
            engine.cancel(one)
        await freed(engine)

    play(body)
