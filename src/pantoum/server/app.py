"""The application: every route, in one place, and what starts and ends with it.

/health /metrics /docs            is it there, what did it do, what can it do
/v1/models                        which models
/v1/completions /v1/chat/...      write
/v1/embeddings /v1/score          read
/v1/activations /v1/units         look inside
/v1/sessions/...                  texts whose state the server keeps
/                                 the page
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from pantoum.config import VERSION, ServeSettings
from pantoum.config.plain import Plain
from pantoum.errors import SettingError
from pantoum.server import chat, completions, embeddings, errors, scores, sessions
from pantoum.server.guard import Guard, read_keys
from pantoum.server.metrics import Metrics
from pantoum.server.models import Models, Served
from pantoum.server.session_table import SessionTable
from pantoum.server.signing import Signer, load_key, state_folder
from pantoum.server.stores import Store
from pantoum.server.stores.sqlite import SqliteStore

__all__ = ["PAGE", "make_app", "make_store"]

PAGE = Path(__file__).parent / "page"
"""The page's files: ``index.html`` at ``/``, the others at ``/page/``."""

COMPRESSED = 4096
"""Bytes from which an answer is compressed for a client that takes it; streams of events are not."""


def make_store(settings: ServeSettings) -> Store:
    """The store of sessions that the settings name."""
    seconds = settings.session_hours * 3600.0
    place = settings.sessions
    if place is None:
        return own_store(settings.port, seconds)
    if place.startswith(("redis://", "rediss://", "unix://")):
        from pantoum.server.stores.redis import RedisStore

        return RedisStore(place, seconds)
    if "://" in place:
        rule = "is an address of an unknown kind"
        raise SettingError("sessions", place.partition("://")[0] + "://", rule, "give redis://... or a file")
    return SqliteStore(place, seconds)


def own_store(port: int, seconds: float) -> Store:
    """The file of the server at this port, so that several servers of one user do not meet in one file.
    Servers that take any free port take the first file that no other server has."""
    for number in range(1, 100):
        name = f"sessions-{port}.sqlite" if number == 1 else f"sessions-{port}-{number}.sqlite"
        try:
            return SqliteStore(str(state_folder() / name), seconds)
        except SettingError:
            if port or number == 99:
                raise
    raise AssertionError


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


def make_app(models: Models, settings: ServeSettings) -> FastAPI:
    """The application of these models. Keys, template and store are read now, so that what is wrong with them
    is told before the server listens."""
    keys = () if settings.api_key_file is None else read_keys(settings.api_key_file)
    key_file = (
        state_folder() / "state.key" if settings.state_key_file is None else Path(settings.state_key_file)
    )
    signer = Signer(load_key(key_file))
    template = (
        chat.PLAIN if settings.chat_template is None else chat.ChatTemplate.read(settings.chat_template)
    )
    table = SessionTable(make_store(settings), settings.session_hours * 3600.0, settings.session_memory << 20)
    metrics = Metrics(models)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        models.start(asyncio.get_running_loop())
        watching = [asyncio.create_task(models.watch()), asyncio.create_task(table.watch())]
        try:
            yield
        finally:
            for task in watching:
                task.cancel()
            models.stop()
            await asyncio.to_thread(models.join, 5.0)
            table.close()

    app = FastAPI(
        title="pantoum",
        version=VERSION,
        description="Recurrent language models of a person's own text: write, score, keep their state.",
        lifespan=lifespan,
    )
    errors.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED, compresslevel=4)
    app.add_middleware(Guard, keys=keys, metrics=metrics, full=models.full)
    if settings.cors_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origin),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # clients send more of their own, such as x-stainless-lang
        )

    @app.get("/health", tags=["server"])
    async def health() -> dict[str, str]:
        """Whether the server answers."""
        return {"status": "ok"}

    @app.get("/metrics", tags=["server"], response_model=None)
    async def show_metrics() -> Response:
        """What it did, for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/models", tags=["server"], response_model=None)
    async def list_models() -> Response:
        """The models that it has."""
        return JSONResponse({"object": "list", "data": [described(one) for one in models.all()]})

    @app.get("/v1/models/{name}", tags=["server"], response_model=None)
    async def show_model(name: str) -> Response:
        """One of them."""
        return JSONResponse(described(models.get(name)))

    app.include_router(completions.routes(models, signer, template))
    app.include_router(embeddings.routes(models))
    app.include_router(scores.routes(models))
    app.include_router(sessions.routes(models, signer, table))
    if (PAGE / "index.html").exists():
        app.mount("/page", StaticFiles(directory=PAGE), name="page")

        @app.get("/", include_in_schema=False)
        async def page() -> FileResponse:
            return FileResponse(PAGE / "index.html")

    return app
