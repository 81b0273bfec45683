"""What those ask who run the server: does it live, which version is it, which models has it, and what did it
do, for Prometheus (``/metrics``).

The engines' counters are read when somebody asks: a token costs no metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from pantoum.apps.server.engine import Engine
from pantoum.apps.server.models import Models, Served
from pantoum.apps.server.sessions import SessionTable
from pantoum.seams import VERSION, Plain

__all__ = ["Metrics", "routes"]

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COUNTED = {
    "tokens_read": "Tokens of prompts that the model read",
    "tokens_written": "Tokens that the model wrote",
    "texts_begun": "Texts that were begun",
    "texts_ended": "Texts that were completed",
    "texts_cancelled": "Texts that were abandoned",
}
GAUGES: tuple[tuple[str, str, Callable[[Engine], int]], ...] = (
    ("slots", "Texts that may be read or written at the same time", lambda one: one.slots),
    ("slots_taken", "Slots and places in use", lambda one: one.taken),
    ("texts_running", "Texts that are read or written now", lambda one: min(one.taken, one.slots)),
    ("texts_waiting", "Texts that wait for a slot", lambda one: max(0, one.taken - one.slots)),
)


class Metrics:
    """The registry of one server. The library counts; nothing here is a metric of our own."""

    def __init__(self, models: Models) -> None:
        self._models, self._registry = models, CollectorRegistry()
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
        self._registry.register(self)
        ProcessCollector(registry=self._registry)  # memory, processor time, open files

    def collect(self) -> Iterator[Metric]:
        """The engines as they are now."""
        engines = self._models.engines()
        for name, about in COUNTED.items():
            family = CounterMetricFamily(f"pantoum_{name}", about, labels=["model"])
            for engine, model in engines.items():
                family.add_metric([model], engine.counters[name])
            yield family
        for name, about, of in GAUGES:
            gauge = GaugeMetricFamily(f"pantoum_{name}", about, labels=["model"])
            for engine, model in engines.items():
                gauge.add_metric([model], of(engine))
            yield gauge
        if self.sessions is not None:
            yield GaugeMetricFamily("pantoum_sessions", "Sessions in the store", self.sessions)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format."""
        return generate_latest(self._registry)


def described(one: Served) -> dict[str, Plain]:
    """A model as ``/v1/models`` shows it."""
    model = one.model
    return {
        "id": one.name,
        "object": "model",
        "created": one.created,
        "owned_by": "pantoum",
        "fingerprint": one.fingerprint,
        "vocabulary": model.tokenizer.vocab_size,
        "tokens": model.tokenizer.kind,
        "unit": model.tokenizer.declared.unit,
        "documents": model.tokenizer.documents,
        "cell": model.config.cell,
        "members": model.config.members,
        "layers": model.config.num_layers,
        "hidden_size": model.config.hidden_size,
        "slots": one.engine.slots,
        "parameters": model.program.model.num_parameters,
    }


def routes(models: Models, table: SessionTable, metrics: Metrics) -> APIRouter:
    """All routes of operators."""
    router = APIRouter(tags=["server"])

    @router.get("/health", response_model=None)
    @router.get("/ready", response_model=None)
    async def health() -> dict[str, str]:
        """Whether the server answers. One that was told to end takes no connections."""
        return {"status": "ok"}

    @router.get("/version", response_model=None)
    async def version() -> dict[str, str]:
        """The version of pantoum."""
        return {"version": VERSION}

    @router.get("/metrics", response_model=None)
    async def show_metrics() -> Response:
        """What it did, for Prometheus."""
        metrics.sessions = await table.count()
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @router.get("/v1/models", response_model=None)
    async def list_models() -> Response:
        """The models that it has."""
        return JSONResponse({"object": "list", "data": [described(one) for one in models.all()]})

    @router.get("/v1/models/{name:path}", response_model=None)
    async def show(name: str) -> Response:
        """One of them."""
        return JSONResponse(described(models.get(name)))

    return router
