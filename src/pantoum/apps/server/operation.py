"""What those ask who run the server: does it live, is it ready, which version is it, what did it do, and
``/v1/models``: which models there are; with the key of an administrator, which there shall be.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from pantoum.apps.server.caller import CALLER
from pantoum.apps.server.metrics import Metrics
from pantoum.apps.server.models import Models, Served
from pantoum.apps.server.refusals import RequestError
from pantoum.apps.server.schema import LoadRequest
from pantoum.apps.server.session_table import SessionTable
from pantoum.errors import PantoumError
from pantoum.seams import VERSION, Plain

__all__ = ["model_routes", "routes"]


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


def require_admin() -> None:
    """Refuse whoever may not change the models."""
    if not CALLER.get().admin:
        raise RequestError(
            403, "this needs a key with the word admin in the file of keys", code="admin_required"
        )


def model_routes(models: Models) -> APIRouter:
    """All routes of models."""
    router = APIRouter(prefix="/v1/models", tags=["models"])

    @router.get("", response_model=None)
    async def list_models() -> Response:
        """The models that it has."""
        return JSONResponse({"object": "list", "data": [described(one) for one in models.all()]})

    @router.post("", response_model=None)
    async def load(fields: LoadRequest) -> Response:
        """Serve one more until the server ends, as on the command line. Needs an admin key."""
        require_admin()
        try:
            return JSONResponse(described(await models.load(fields.model)))
        except (PantoumError, OSError) as error:
            raise RequestError(400, str(error), param="model") from None

    @router.get("/{name:path}", response_model=None)
    async def show(name: str) -> Response:
        """One of them."""
        return JSONResponse(described(models.get(name)))

    @router.delete("/{name:path}", response_model=None)
    async def unload(name: str) -> Response:
        """Serve it no more; requests that have begun go on. Needs an admin key."""
        require_admin()
        models.unload(name)
        return JSONResponse({"id": name, "object": "model", "deleted": True})

    return router
