"""``/metrics``: what the server did, for Prometheus. The library counts; nothing here is a metric of our own.

The engines' counters are read when somebody asks: a token costs no metric. They go on when a model is
reloaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pantoum.apps.server.engine import Engine
from pantoum.apps.server.models import Models

__all__ = ["Metrics"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COUNTED = {
    "tokens_read": "Tokens of prompts that the model read",
    "tokens_written": "Tokens that the model wrote",
    "texts_begun": "Texts that were begun",
    "texts_ended": "Texts that came to their end",
    "texts_cancelled": "Texts that were given up",
}

GAUGES: tuple[tuple[str, str, Callable[[Engine], int]], ...] = (
    ("slots", "Texts that may be read or written at the same time", lambda one: one.slots),
    ("slots_taken", "Slots and places in use", lambda one: one.taken),
    ("texts_running", "Texts that are read or written now", lambda one: min(one.taken, one.slots)),
    ("texts_waiting", "Texts that wait for a slot", lambda one: max(0, one.taken - one.slots)),
)


class Metrics:
    """The registry of one server."""

    def __init__(self, models: Models) -> None:
        self._models = models
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "pantoum_requests", "Requests, by route and status", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "pantoum_request_seconds",
            "Seconds from a request to the end of its answer",
            ["route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.first_token = Histogram(
            "pantoum_first_token_seconds",
            "Seconds from a request to its first token",
            ["model"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.sessions: int | None = None
        """Sessions in the store, when that was last asked; ``None``: the store does not count them."""
        self.key_requests = Counter(
            "pantoum_key_requests", "Requests, by the name of the key", ["key"], registry=self._registry
        )
        self.key_tokens = Counter(
            "pantoum_key_tokens",
            "Tokens read and written, by the name of the key",
            ["key"],
            registry=self._registry,
        )
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The engines as they are now."""
        served = self._models.engines()
        counted = {one.name: self._models.counted(one) for one in served}
        for name, about in COUNTED.items():
            family = CounterMetricFamily(f"pantoum_{name}", about, labels=["model"])
            for one in served:
                family.add_metric([one.name], counted[one.name][name])
            yield family
        for name, about, of in GAUGES:
            gauge = GaugeMetricFamily(f"pantoum_{name}", about, labels=["model"])
            for one in served:
                gauge.add_metric([one.name], of(one.engine))
            yield gauge
        if self.sessions is not None:
            kept = GaugeMetricFamily("pantoum_sessions", "Sessions in the store")
            kept.add_metric([], self.sessions)
            yield kept
        resident = GaugeMetricFamily("pantoum_resident_bytes", "Memory of the process")
        resident.add_metric([], resident_bytes())
        yield resident

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)


def resident_bytes() -> float:
    """The resident memory of this process; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
        return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError):
        return 0.0
