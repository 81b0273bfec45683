"""What those ask who run the server: does it live, is it ready, which version is it, what did it do."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from pantoum.config import VERSION
from pantoum.server.metrics import Metrics
from pantoum.server.models import Models
from pantoum.server.refusals import RequestError
from pantoum.server.session_table import SessionTable

__all__ = ["routes"]


def routes(models: Models, table: SessionTable, metrics: Metrics) -> APIRouter:
    """All routes of operators."""
    router = APIRouter(tags=["server"])

    @router.get("/health", response_model=None)
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @router.get("/ready", response_model=None)
    async def ready() -> dict[str, str]:
        """Whether new requests are welcome: it has a model, and was not told to end."""
        if models.draining or not models.all():
            why = "was told to end" if models.draining else "has no model"
            raise RequestError(503, f"this server {why}", headers={"Retry-After": "5"})
        return {"status": "ready"}

    @router.get("/version", response_model=None)
    async def version() -> dict[str, str]:
        """The version of pantoum."""
        return {"version": VERSION}

    @router.get("/metrics", response_model=None)
    async def show_metrics() -> Response:
        """What it did, for Prometheus."""
        metrics.sessions = await table.count()
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
