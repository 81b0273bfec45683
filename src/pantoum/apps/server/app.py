"""The application: every route, in one place, and what starts and ends with it.

/health /ready /version /metrics /docs   is it there, what did it do, what can it do
/v1/models                        which models
/tokenize /detokenize             tokens
/v1/completions /v1/chat/... /v1/responses   write
/v1/suggest                       the next word
/v1/embeddings /v1/score          read
/v1/activations /v1/units         look inside
/v1/sessions/...                  texts whose state the server keeps
/                                 the page
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from pantoum.apps.server import (
    answers,
    completions,
    embeddings,
    operation,
    refusals,
    responses,
    scores,
    sessions,
    suggestions,
    tokenizing_routes,
)
from pantoum.apps.server.admission import Admission
from pantoum.apps.server.guard import Guard
from pantoum.apps.server.keys import Keyring
from pantoum.apps.server.metrics import Metrics
from pantoum.apps.server.models import Models
from pantoum.apps.server.paths import prefixed, with_heads
from pantoum.apps.server.session_table import SessionTable
from pantoum.apps.server.settings import ServeSettings
from pantoum.apps.server.signing import Signer, load_key, state_folder
from pantoum.apps.server.stores import Store
from pantoum.apps.server.stores.sqlite import SqliteStore
from pantoum.errors import SettingError
from pantoum.seams import VERSION

__all__ = ["PAGE", "make_app", "make_store"]

log = logging.getLogger("pantoum.apps.server")
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
        from pantoum.apps.server.stores.redis import RedisStore, password_of

        file = settings.redis_password_file
        return RedisStore(place, seconds, settings.redis_password if file is None else password_of(file))
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


def make_app(models: Models, settings: ServeSettings) -> FastAPI:
    """The application of these models. Keys and store are read now, so that what is wrong with them
    is told before the server listens."""
    keyring = Keyring(settings.api_key_file, settings.api_keys)
    key_file = (
        state_folder() / "state.key" if settings.state_key_file is None else Path(settings.state_key_file)
    )
    signer = Signer(load_key(key_file))
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

    app = FastAPIOffline(  # FastAPI, with the script of /docs from its package, not from a server of others
        title="pantoum",
        version=VERSION,
        description="Recurrent language models of a person's own text: write, score, keep their state.",
        lifespan=lifespan,
        redoc_url=None,
        static_url="/docs/files",
    )
    app.state.reread, app.state.models = partial(reread, keyring, models), models
    refusals.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED, compresslevel=4)
    app.add_middleware(with_heads)
    app.add_middleware(Guard, admission=Admission(keyring, settings), metrics=metrics, full=models.full)
    app.add_middleware(prefixed, root=settings.root_path or "")
    if settings.cors_origin:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origin),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],  # clients send more of their own, such as x-stainless-lang
            expose_headers=["X-Request-Id", "Retry-After"],
        )
    for router in (
        operation.routes(models, table, metrics),
        operation.model_routes(models),
        tokenizing_routes.routes(models),
        completions.routes(models, signer),
        responses.routes(models, signer),
        embeddings.routes(models),
        scores.routes(models),
        sessions.routes(models, signer, table),
        suggestions.routes(models, signer, table),
    ):
        app.include_router(router)
    if (PAGE / "index.html").exists():
        app.mount("/page", StaticFiles(directory=PAGE), name="page")

        @app.get("/", include_in_schema=False)
        async def page() -> FileResponse:
            return FileResponse(PAGE / "index.html")

    answers.describe(app, settings.root_path or "", keyed=keyring.needed)
    return app


def reread(keyring: Keyring, models: Models) -> None:
    """Take keys and chat templates as their files are now; what cannot be read is told, and the old stay."""
    for what, read in (("the keys", keyring.read), ("the chat templates", models.reread)):
        try:
            read()
            log.info("%s were read again", what)
        except SettingError as error:
            log.warning("%s were not read again, the old ones stay: %s", what, error)
