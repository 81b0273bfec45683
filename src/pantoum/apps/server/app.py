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
from pathlib import Path

from fastapi import FastAPI, Security
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse
from fastapi.security import HTTPBearer
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline

from pantoum.apps.server import completions, operation, reading, refusals, responses, sessions
from pantoum.apps.server.guard import Admission, Guard
from pantoum.apps.server.models import Models
from pantoum.apps.server.settings import ServeSettings
from pantoum.apps.server.signing import Signer, load_key, state_folder
from pantoum.apps.server.stores import SECONDS, RedisStore, SqliteStore, Store
from pantoum.errors import SettingError
from pantoum.seams import VERSION

__all__ = ["PAGE", "make_app", "make_store"]

log = logging.getLogger("pantoum.server")
PAGE = Path(__file__).parent / "page"
"""The page's files: ``index.html`` at ``/``, the others at ``/page/``."""
COMPRESSED = 4096
"""Bytes from which an answer is compressed for a client that takes it; streams of events are not."""


def make_store(settings: ServeSettings) -> Store:
    """The store of sessions that the settings name."""
    place = settings.sessions
    if place is None:
        return own_store(settings.port)
    if place.startswith(("redis://", "rediss://", "unix://")):
        return RedisStore(place, SECONDS)
    if "://" in place:
        rule = "is an address of an unknown kind"
        raise SettingError("sessions", place.partition("://")[0] + "://", rule, "give redis://... or a file")
    return SqliteStore(place, SECONDS)


def own_store(port: int) -> Store:
    """The file of the server at this port, so that several servers of one user do not meet in one file.
    Servers that take any free port take the first file that no other server has."""
    for number in range(1, 100):
        name = f"sessions-{port}.sqlite" if number == 1 else f"sessions-{port}-{number}.sqlite"
        try:
            return SqliteStore(str(state_folder() / name), SECONDS)
        except SettingError:
            if port or number == 99:
                raise
    raise AssertionError


def make_app(models: Models, settings: ServeSettings) -> FastAPI:
    """The application of these models. Keys and store are read now, so that what is wrong with them
    is told before the server listens."""
    admission = Admission(settings)
    key_file = (
        state_folder() / "state.key" if settings.state_key_file is None else Path(settings.state_key_file)
    )
    signer = Signer(load_key(key_file))
    table = sessions.SessionTable(make_store(settings), SECONDS)
    metrics = operation.Metrics(models)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        models.start(asyncio.get_running_loop())
        expiring = asyncio.create_task(table.watch())
        try:
            yield
        finally:
            expiring.cancel()
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
        # ``Guard`` looks at the key; this says in /docs that there is one.
        dependencies=[Security(HTTPBearer(auto_error=False))] if admission.keyed else [],
    )

    def reread() -> None:
        """Take the keys as they are now; if they cannot be read, the old ones stay."""
        try:
            admission.read()
            log.info("the keys were read again")
        except SettingError as error:
            log.warning("the keys were not read again, so the old ones stay: %s", error)

    app.state.reread = reread
    refusals.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED, compresslevel=4)
    app.add_middleware(Guard, admission=admission, metrics=metrics, full=models.full)
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
        completions.routes(models, signer),
        responses.routes(models, signer),
        reading.routes(models, signer, table),
        sessions.routes(models, signer, table),
    ):
        app.include_router(router)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")

    @app.get("/", include_in_schema=False)
    async def page() -> FileResponse:
        return FileResponse(PAGE / "index.html")

    return app
