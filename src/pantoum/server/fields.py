"""Routes that keep no field of a body that they do not know.

The framework keeps the body as it was parsed until the answer is sent. A megabyte of JSON is some ten
megabytes of Python objects, and many requests may wait for a slot.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

__all__ = ["KnownFields"]


class KnownFields(APIRoute):
    """A route whose body is one object."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handler = super().get_route_handler()
        model = None if self.body_field is None else self.body_field.field_info.annotation
        declared = getattr(model, "model_fields", {})
        known = {one.alias or name for name, one in declared.items()}

        class Lean(Request):
            async def json(self) -> Any:
                value = await super().json()
                if isinstance(value, dict):
                    for name in value.keys() - known:
                        del value[name]
                return value

        async def handle(request: Request) -> Response:
            return await handler(Lean(request.scope, request.receive))

        return handle
