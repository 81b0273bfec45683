"""The thread that owns a model's batch: it reads prompts, writes texts, and tells the event loop what came.

A turn, in order: jobs that came or were cancelled are taken in; prompts are read for some milliseconds
(``readings``); the batch writes for at least one round; what was written goes to the event loop
(``telling``).

Slots are bounded, and so is the queue in front of them: ``submit`` raises ``FullError`` when both are taken.
A job needs one slot to read its prompt; each further text begins when a slot is free for it, and who gets
one ``slots`` decides. A job whose request went away is cancelled between two steps, and one whose
client does not read is parked; their slots and places are free from then on.

The engine does no HTTP and knows no request. Everything that it does is decided by jobs and settings, never
by time alone, except how the work is cut into turns, which changes no result.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

from pantoum.apps.server.caller import client
from pantoum.apps.server.job import Ended, FullError, Job, JobText, Read, StoppedError
from pantoum.apps.server.readings import Readings
from pantoum.apps.server.retry import RetryAfter
from pantoum.apps.server.slots import Slots
from pantoum.apps.server.telling import Telling
from pantoum.seams import LoadedModel, Stream, StreamBatch

__all__ = ["Engine"]

WRITE_TURN = 0.004
"""Seconds that texts are written before prompts are read on."""


class Engine:
    """A model's thread. ``submit`` and ``cancel`` are for the event loop."""

    def __init__(self, model: LoadedModel, slots: int, places: int, loop: asyncio.AbstractEventLoop) -> None:
        self.model, self.slots, self.places = model, slots, places
        self.counters: Counter[str] = Counter()
        """Tokens read and written, texts begun and ended; changed by the engine's thread alone."""
        self.taken = 0
        """Slots and places that are taken, as the event loop counts them."""
        self._of: Counter[str] = Counter()  # by client
        self.retry = RetryAfter(slots, places)
        self._telling = Telling(loop)
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._batch = StreamBatch(model)
        self._slots = Slots(slots)
        self._readings = Readings()
        self._texts: dict[Stream, JobText] = {}
        """Those that are being written."""
        self._active: set[Job] = set()
        """Jobs in work: being read, written, parked, or with texts that wait for a slot."""
        self._closing = False
        self.stopped = False
        self._thread = threading.Thread(target=self._run, name="pantoum-engine", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether it can take no other text of this client now."""
        return self._lacking(client(), 1) > 0

    def seconds_until(self, texts: int = 1) -> int:
        """The seconds after which this client, which was turned away, shall ask again for so many texts."""
        return self.retry.seconds(self.taken, max(1, self._lacking(client(), texts)))

    def submit(self, job: Job) -> None:
        """Take a job, or raise ``FullError`` or ``StoppedError``."""
        if self.stopped:
            raise StoppedError
        if self._lacking(job.client, job.slots) > 0:
            raise FullError
        self._take(job, job.slots)
        self._commands.put(lambda: self._slots.wait(job))

    def cancel(self, job: Job) -> None:
        """Nobody waits for the job any more."""
        if not job.done or job.failed:
            self._commands.put(lambda: self._drop(job))

    def pause(self, job: Job) -> None:
        """Its client reads too slowly: write no more of it for now. Others may have its slots. A prompt is
        read to its end, for that leaves nothing more for the client to read."""
        self._commands.put(lambda: self._park(job))

    def resume(self, job: Job) -> None:
        """Its client has read what there was."""
        self._commands.put(lambda: self._unpark(job))

    def finish(self, job: Job) -> None:
        """Its time is used up: its texts end as they are."""
        self._commands.put(lambda: self._conclude(job))

    def stop(self) -> None:
        """Take no more jobs; the thread ends when all are done."""
        if not self.stopped:
            self.stopped = True
            self._commands.put(self._close)

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread's end; whether it has come."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _lacking(self, whose: str, texts: int) -> int:
        """Slots and places that must become free before a client can have so many texts more."""
        most = self.slots + self.places
        kept = self.places // 4 if 2 * self._of[whose] > most else 0  # who has most leaves some to others
        return self.taken + texts - most + kept

    def _take(self, job: Job, slots: int) -> None:
        """Count slots and places."""
        self.taken += slots
        self._of[job.client] += slots
        if not self._of[job.client]:
            del self._of[job.client]

    # What follows runs in the engine's thread.

    def _close(self) -> None:
        self._closing = True

    def _run(self) -> None:
        while not (self._closing and not self._active and not self._slots.waiting and self._commands.empty()):
            try:
                if not self._step() and not (self._closing and not self._active):
                    self._commands.get()()
            except Exception as error:  # whatever it is: the jobs in work must hear of it
                self._fail(error)
            if self._telling.closed:
                self._closing = self.stopped = True

    def _step(self) -> bool:
        """Commands are done, slots go to those that wait, and who has one goes on for a turn; whether anybody
        has."""
        while not self._commands.empty():
            self._commands.get()()
        self._admit()
        if not self._readings.jobs and not self._texts:
            return False
        self._turn()
        return True

    def _turn(self) -> None:
        if self._readings.jobs:
            self._read()
        until = time.monotonic() + WRITE_TURN
        while self._texts:
            self._write()
            now = time.monotonic()
            if now >= until or self._slots.may_change(now) or not self._commands.empty():
                break
        self._telling.tell()
        done = self.counters["tokens_read"] + self.counters["tokens_written"]
        self.retry.observe(done, 2 * self._slots.taken > self.slots, self._left)

    def _left(self) -> Iterator[tuple[int, int, int]]:
        """What texts that have a slot, or wait for one, still take, as ``RetryAfter.observe`` wants it."""
        yield from (text.left for text in self._texts.values())
        for job in (*self._readings.jobs, *self._slots.waiting):
            yield from job.to_come()

    def _admit(self) -> None:
        """Slots go to those that wait for one."""
        while (job := self._slots.next()) is not None:
            if not self._slots.free and not self._make_room(job):
                return
            self._slots.take(job)
            if job.read:
                self._go_on(job)
            else:
                self._active.add(job)
                self._readings.add(job)
            if not self._wants(job):
                self._slots.leave(job)

    def _make_room(self, waiting: Job) -> bool:
        """Whether a text or a reading gives up its slot for a job that waits. Its own job waits then, too."""
        having: list[Job | JobText] = [*self._texts.values(), *self._readings.jobs]
        found = self._slots.who_makes_room(waiting, having, time.monotonic())
        if found is None:
            return False
        if isinstance(found, JobText):
            self._park_text(found)
            self._slots.wait(found.job)
        else:
            self._readings.remove(found)
            self._slots.give_back(found)
            self._slots.wait(found)
        return True

    def _gone(self, job: Job) -> bool:
        """Whether a job has ended or was given up: a command about it may come after that."""
        return job not in self._active and job not in self._slots.waiting

    def _wants(self, job: Job) -> bool:
        """Whether a job in work waits for a slot, or for one more."""
        if job not in self._active:
            return False
        if not job.read:
            return job not in self._readings.jobs
        return not job.paused and (job.begun < job.streams or bool(job.parked))

    def _go_on(self, job: Job) -> None:
        """A job in work has got a slot more: a parked text resumes, or its next text begins."""
        if not job.parked:
            self._begin(job)
            return
        text = job.parked.popleft()
        self._batch.resume(text.stream)
        text.since = time.monotonic()
        self._texts[text.stream] = text
        job.texts.append(text)
        self._place(job, 1)

    def _read(self) -> None:
        """Prompts are read on; the texts after those that were read begin."""
        count, read = self._readings.turn(alone=not self._texts)
        self.counters["tokens_read"] += count
        for job in read:
            job.read = True
            self._telling.post(job, Read())
            self._begin(job)

    def _begin(self, job: Job) -> None:
        """The prompt was read: the next text joins the batch, in the slot of the reading or one more."""
        writing = job.writing
        if writing is None:
            self._slots.give_back(job)
            self._active.discard(job)
            self._freed(job, 1)
            self.retry.ended(len(job.reading.tokens_T), 0, 0)
            return
        try:
            stream = self._batch.join(
                job.reading.state,
                length=writing.length,
                sampling=writing.sampling,
                seed=writing.seed,
                stream=job.begun,
                alternatives=writing.alternatives,
            )
        except Exception as error:
            self._drop(job)
            self._telling.post(job, error)
            return
        self.counters["texts_begun"] += 1
        text = self._texts[stream] = JobText(job, job.begun, stream)
        job.texts.append(text)
        job.begun += 1
        if stream.ended:
            self._end(text)
        elif job.paused:
            self._park(job)
        if self._wants(job):
            self._slots.wait(job)

    def _write(self) -> None:
        """One round."""
        texts, count, written = self._texts, len(self._batch), self._batch.written
        for stream, shown in self._batch.round():
            text = texts[stream]
            text.parts.append(shown)
            if not text.told:
                self._telling.gather(text)
        self.counters["tokens_written"] += self._batch.written - written
        if len(self._batch) != count:
            for text in [one for one in texts.values() if one.stream.ended]:
                self._end(text)
        self._telling.gather_due(texts.values(), len(texts))
        self._telling.tell()

    def _leave(self, text: JobText) -> None:
        """A text is not written any more, and gives its slot back."""
        del self._texts[text.stream]
        text.job.texts.remove(text)
        self._slots.give_back(text.job)

    def _end(self, text: JobText) -> None:
        self._leave(text)
        self._telling.gather(text)
        job, stream = text.job, text.stream
        self.counters["texts_ended"] += 1
        self.retry.ended(0 if text.index else len(job.reading.tokens_T), *text.left[1:])
        ended = Ended(text.index, stream.stopped, stream.tokens, stream.nats, stream.state)
        self._telling.post(job, ended)
        if not job.held and job.begun == job.streams and not job.parked:
            self._active.discard(job)
        self._freed(job, 1)

    def _drop(self, job: Job) -> None:
        """Nobody waits for a job any more."""
        if self._gone(job):
            return
        writing = list(job.texts)
        used = sum(text.stream.tokens for text in (*writing, *job.parked))
        if not job.read:
            used += len(job.reading.tokens_T) - job.reading.left
        self._telling.call(partial(job.spend, used))
        self._give_up(job)
        for text in writing:
            self._batch.leave(text.stream)
        self._telling.forget(job)

    def _give_up(self, job: Job) -> None:
        """A job is in work no more, wherever it was."""
        left = len(job.texts) + len(job.parked)
        self.counters["texts_cancelled"] += left
        places = job.slots - job.begun + left - job.unplaced
        for text in list(job.texts):
            self._leave(text)
        job.parked.clear()
        if job in self._readings.jobs:
            self._readings.remove(job)
        while job.held:  # of its reading, or of a text that could not begin
            self._slots.give_back(job)
        self._slots.leave(job)
        self._active.discard(job)
        self._freed(job, places)

    def _park_text(self, text: JobText) -> None:
        self._leave(text)
        self._batch.park(text.stream)
        text.job.parked.append(text)

    def _park(self, job: Job) -> None:
        """The client reads slowly: its texts pause, and others get their slots and places."""
        if self._gone(job):  # its places are free already, those of the texts that had paused, too
            return
        job.paused = True  # a prompt that is still being read: its texts pause when they begin
        for text in list(job.texts):
            self._park_text(text)
        self._freed(job, len(job.parked) - job.unplaced)
        job.unplaced = len(job.parked)
        if job.read:
            self._slots.leave(job)

    def _unpark(self, job: Job) -> None:
        job.paused = False
        if self._wants(job):
            self._slots.wait(job, first=True)

    def _conclude(self, job: Job) -> None:
        """The time of a job is used up: what is written of each text is its text."""
        if self._gone(job):
            return
        if job.begun == 0:
            self._drop(job)
            self._telling.post(job, TimeoutError())
            self._telling.tell()
            return
        while job.parked:  # its state is where it paused
            text = job.parked.popleft()
            self._place(job, 1)
            self._slots.take(job)
            text.since = time.monotonic()
            self._texts[text.stream] = text
            job.texts.append(text)
        for text in list(job.texts):
            text.parts.append(text.stream.finish())
            if not text.stream.ended:
                self._batch.leave(text.stream)
            self._end(text)
        for index in range(job.begun, job.streams):
            self._telling.post(job, Ended(index, None, 0, 0.0, job.reading.state))
        self._freed(job, job.streams - job.begun)
        job.begun = job.streams
        self._active.discard(job)
        self._slots.leave(job)
        self._telling.tell()

    def _fail(self, error: Exception) -> None:
        """A turn failed: every job in work is told, and the batch begins anew."""
        self._batch = StreamBatch(self.model)
        for job in list(self._active):
            self._give_up(job)
            self._telling.post(job, error)
        self._telling.tell()

    def _place(self, job: Job, count: int) -> None:
        """Texts whose client read slowly count again."""
        count = min(count, job.unplaced)
        job.unplaced -= count
        if count:
            self._telling.call(lambda: self._take(job, count))

    def _freed(self, job: Job, slots: int) -> None:
        if slots:
            self._telling.call(lambda: self._take(job, -slots))
