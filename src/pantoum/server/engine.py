"""The thread that owns a model's batch: it reads prompts, writes texts, and tells the event loop what came.

A turn, in order: jobs that came or were cancelled are taken in; prompts are read side by side for about
``READ_TURN`` seconds; the batch writes for at least one round; what was written goes to the event loop. So a
long prompt delays the others by one turn and never by its own length. The first characters of a text are told
at once; what follows is put together, and told at an interval that grows with the number of texts: the event
loop sends a bounded number of events per second, however fast the model writes.

Slots are bounded, and so is the queue in front of them: ``submit`` raises ``FullError`` when both are taken.
A slot that becomes free goes to the client that has fewest, and there to the job that has fewest. A job
needs one slot to read its prompt; each further text begins when a slot is free for it. So small requests
pass large ones, which still get their share. A job whose request went away is cancelled between two steps,
and one whose client does not read is parked; their slots are free from then on.

The engine does no HTTP and knows no request. Everything that it does is decided by jobs and settings, never
by time alone, except how the work is cut into turns, which changes no result.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from functools import partial

from pantoum.inference.loaded_model import LoadedModel
from pantoum.inference.reading import Reading, advance
from pantoum.inference.writing.stream import Stream
from pantoum.inference.writing.stream_batch import StreamBatch
from pantoum.server.job import Ended, Event, Failed, FullError, Job, Read, StoppedError, Telling, Written
from pantoum.server.retry import RetryAfter

__all__ = ["Engine"]

READ_TURN = 0.008
"""Seconds that prompts are read before the others write on, and before cancelled jobs are noticed."""
ALONE = 32
"""Tokens of each prompt that are read at once where nobody writes: what many prompts need to be read fast,
and little enough of a single one that a client who vanishes is noticed soon."""
WRITE_TURN = 0.004
"""Seconds that texts are written before prompts are read on, where both wait."""
SIDE_BY_SIDE = 64
"""Prompts that are read together."""
SOONEST, LATEST, EACH = 0.004, 0.100, 0.0006
"""Seconds between two tellings: at least, at most, and per text that is being written."""


class Engine:
    """A model's thread. ``submit`` and ``cancel`` are for the event loop."""

    def __init__(self, model: LoadedModel, slots: int, places: int, loop: asyncio.AbstractEventLoop) -> None:
        self.model, self.slots, self.places = model, slots, places
        self.counters: Counter[str] = Counter()
        """Tokens read and written, texts begun and ended; changed by the engine's thread alone."""
        self.taken = 0
        """Slots and places that are taken, as the event loop counts them."""
        self._of: Counter[str] = Counter()
        """Those of each client."""
        self.retry = RetryAfter(slots)
        self._loop = loop
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._batch = StreamBatch(model)
        self._waiting: deque[Job] = deque()
        self._reading: list[Job] = []
        self._streams: dict[Stream, Telling] = {}
        self._parked: dict[Stream, Telling] = {}
        """Texts that pause, because their clients read slowly."""
        self._active: set[Job] = set()
        """Jobs in work: being read, written, parked, or with texts that wait for a slot."""
        self._outbox: dict[Job, list[Event]] = {}
        self._rates: defaultdict[str, float] = defaultdict(lambda: 4000.0)
        """Tokens of prompts per second, as measured, for each kind of reading."""
        self._told = 0.0
        self._closing = False
        self.stopped = False
        self._thread = threading.Thread(target=self._run, name="pantoum-engine", daemon=True)
        self._thread.start()

    @property
    def full(self) -> bool:
        """Whether it can take no other text now."""
        return self.taken >= self.slots + self.places

    def submit(self, job: Job) -> None:
        """Take a job, or raise ``FullError`` or ``StoppedError``."""
        if self.stopped:
            raise StoppedError
        most = self.slots + self.places
        if 2 * self._of[job.client] > most:  # who has most of it leaves some to others
            most -= self.places // 4
        if self.taken + job.slots > most:
            raise FullError
        self._take(job, job.slots)
        self._commands.put(lambda: self._waiting.append(job))

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

    # What follows runs in the engine's thread.

    def _close(self) -> None:
        self._closing = True

    def _run(self) -> None:
        while not (self._closing and not self._active and not self._waiting and self._commands.empty()):
            try:
                while not self._commands.empty():
                    self._commands.get()()
                self._admit()
                if self._reading or self._streams:
                    self._turn()
                elif not (self._closing and not self._active):
                    self._commands.get()()
            except Exception as error:  # whatever it is: the jobs in work must hear of it
                self._fail(error)

    def _turn(self) -> None:
        if self._reading:
            self._read()
        until = time.monotonic() + WRITE_TURN
        while self._streams:
            self._write()
            if self._reading and time.monotonic() >= until:
                break
            if not self._commands.empty() or (self._waiting and self._free):
                break
        self._tell()

    def _admit(self) -> None:
        """Slots that are free go to those that wait: to the client that has fewest, to its job that has
        fewest, to the one that came first."""
        if not self._waiting or not self._free:
            return
        clients: Counter[str] = Counter()
        for job in self._active:
            clients[job.client] += job.held
        while self._waiting and self._free:
            job = min(self._waiting, key=lambda one: (clients[one.client], one.held))
            clients[job.client] += 1
            job.held += 1
            if job not in self._active:
                self._active.add(job)
                job.since = time.monotonic()
                self._reading.append(job)
            else:
                self._go_on(job)
            if not self._wants(job) and job in self._waiting:
                self._waiting.remove(job)

    @property
    def _free(self) -> int:
        """Slots that nobody has."""
        return max(0, self.slots - len(self._streams) - len(self._reading))

    def _wants(self, job: Job) -> bool:
        """Whether a job in work has texts that wait for a slot."""
        if job not in self._active or job in self._reading or job.paused:
            return False
        return job.begun < job.streams or bool(Telling.of(self._parked, job))

    def _go_on(self, job: Job) -> None:
        """A job in work has got a slot more: a parked text resumes, or its next text begins."""
        stream = next(iter(Telling.of(self._parked, job)), None)
        if stream is None:
            self._begin(job)
            return
        self._batch.resume(stream)
        self._streams[stream] = self._parked.pop(stream)
        self._call(lambda: self._take(job, 1))

    def _read(self) -> None:
        """Prompts go on side by side, those of one kind at a time and the kinds in turns."""
        kind = self._reading[0].reading.kind
        jobs = [job for job in self._reading if job.reading.kind == kind][:SIDE_BY_SIDE]
        readings: list[Reading] = [job.reading for job in jobs if job.reading.left]
        if readings:
            least = 1 if self._streams else ALONE
            tokens = max(len(readings) * least, int(self._rates[kind] * READ_TURN))
            begun = time.perf_counter()
            count = advance(readings, tokens)
            seconds = time.perf_counter() - begun
            self._rates[kind] += 0.2 * (count / max(seconds, 1e-6) - self._rates[kind])
            self.counters["tokens_read"] += count
        read = [job for job in jobs if not job.reading.left]
        taken = set(jobs)
        self._reading = [job for job in self._reading if job not in taken]
        self._reading += [job for job in jobs if job.reading.left]
        for job in read:
            self._post(job, Read())
            self._begin(job)

    def _begin(self, job: Job) -> None:
        """The prompt was read: the next text joins the batch, in the slot of the reading or one more."""
        writing = job.writing
        if writing is None:
            self._active.discard(job)
            self._freed(job, 1)
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
            self._post(job, Failed(error))
            return
        self.counters["texts_begun"] += 1
        self._streams[stream] = Telling(job, job.begun)
        job.begun += 1
        if stream.ended:
            self._end(stream)
        elif job.paused:
            self._park(job)
        if self._wants(job) and job not in self._waiting:
            self._waiting.append(job)

    def _write(self) -> None:
        """One round."""
        streams, count = self._streams, len(self._batch)
        pieces = self._batch.round()
        self.counters["tokens_written"] += count
        for stream, text in pieces:
            telling = streams[stream]
            telling.parts.append(text)
            if not telling.told:
                self._gather(stream, telling)
        if len(self._batch) != count:
            for stream in [one for one in streams if one.ended]:
                self._end(stream)
        now = time.monotonic()
        if now - self._told >= min(LATEST, max(SOONEST, EACH * len(streams))):
            self._told = now
            for stream, telling in streams.items():
                self._gather(stream, telling)
        self._tell()

    def _gather(self, stream: Stream, telling: Telling) -> None:
        """What was written of a text becomes an event."""
        drawn = stream.drawn()
        if telling.parts or drawn:
            telling.told = True
            self._post(telling.job, Written(telling.index, "".join(telling.parts), drawn))
            telling.parts.clear()

    def _end(self, stream: Stream) -> None:
        telling = self._streams.pop(stream)
        self._gather(stream, telling)
        self.counters["texts_ended"] += 1
        ended = Ended(telling.index, stream.stopped, stream.tokens, stream.nats, stream.state)
        self._post(telling.job, ended)
        self._release(telling.job)
        self._freed(telling.job, 1)

    def _drop(self, job: Job) -> None:
        """Give up a job, wherever it is."""
        if job not in self._active and job not in self._waiting:
            return
        writing, parked = Telling.of(self._streams, job), Telling.of(self._parked, job)
        read = len(job.reading.tokens_T) - job.reading.left if job in self._reading else 0
        self._call(partial(job.spend, max(0, read) + sum(stream.tokens for stream in writing + parked)))
        for stream in writing:
            self._batch.leave(stream)
        for stream in writing + parked:
            (self._streams if stream in self._streams else self._parked).pop(stream)
        self.counters["texts_cancelled"] += len(writing) + len(parked)
        for jobs in (self._reading, self._waiting):
            if job in jobs:
                jobs.remove(job)
        self._outbox.pop(job, None)
        self._active.discard(job)
        self._freed(job, len(writing) + job.slots - job.begun)

    def _park(self, job: Job) -> None:
        job.paused = True  # a prompt that is still being read: its texts pause when they begin
        for stream in Telling.of(self._streams, job):
            self._batch.park(stream)
            self._parked[stream] = self._streams.pop(stream)
            job.held -= 1
            self._freed(job, 1)
        if job in self._waiting and job in self._active:
            self._waiting.remove(job)

    def _unpark(self, job: Job) -> None:
        job.paused = False
        if self._wants(job) and job not in self._waiting:
            self._waiting.appendleft(job)

    def _conclude(self, job: Job) -> None:
        """The time of a job is used up: what is written of each text is its text."""
        if job not in self._active and job not in self._waiting:
            return
        if job.begun == 0:
            self._drop(job)
            self._post(job, Failed(TimeoutError()))
            self._tell()
            return
        for stream in Telling.of(self._parked, job):
            self._streams[stream] = self._parked.pop(stream)
            self._call(lambda: self._take(job, 1))
            job.held += 1
        for stream in Telling.of(self._streams, job):
            self._streams[stream].parts.append(stream.finish())
            if not stream.ended:
                self._batch.leave(stream)
            self._end(stream)
        for index in range(job.begun, job.streams):
            self._post(job, Ended(index, None, 0, 0.0, job.reading.state))
        self._freed(job, job.streams - job.begun)
        job.begun = job.streams
        self._active.discard(job)
        if job in self._waiting:
            self._waiting.remove(job)
        self._tell()

    def _fail(self, error: Exception) -> None:
        """A turn failed: every job in work is told, and the batch begins anew."""
        jobs, writing = list(self._active), Counter(telling.job for telling in self._streams.values())
        self._waiting = deque(job for job in self._waiting if job not in self._active)
        self._active.clear()
        self._batch = StreamBatch(self.model)
        self._streams.clear()
        self._parked.clear()
        self._reading.clear()
        for job in jobs:
            self._freed(job, writing[job] + job.slots - job.begun)
            self._post(job, Failed(error))
        self._tell()

    def _release(self, job: Job) -> None:
        """A text of a job has ended."""
        job.held -= 1
        if not job.held and job.begun == job.streams and not Telling.of(self._parked, job):
            self._active.discard(job)

    def _freed(self, job: Job, slots: int) -> None:
        self._call(lambda: self._take(job, -slots))

    def _take(self, job: Job, slots: int) -> None:
        """Count slots and places, on the event loop."""
        self.taken += slots
        self._of[job.client] += slots
        if not self._of[job.client]:
            del self._of[job.client]
        if slots < 0 and job.since is not None:
            self.retry.freed(time.monotonic() - job.since)

    def _post(self, job: Job, event: Event) -> None:
        self._outbox.setdefault(job, []).append(event)

    def _tell(self) -> None:
        """Hand over what was gathered, in one call for all jobs."""
        if not self._outbox:
            return
        outbox, self._outbox = self._outbox, {}

        def deliver() -> None:
            for job, events in outbox.items():
                job.inbox.arrive(job, events)

        self._call(deliver)

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the event loop has ended; nobody waits any more
            self._closing = self.stopped = True
