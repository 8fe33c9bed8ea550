"""The application: routes, errors and what runs beside them."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from typing import cast

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.types import ASGIApp

from contracts.codec import SCHEMA_VERSION
from sse_relay.consumer import TopicReader
from sse_relay.entrance import Entrance
from sse_relay.errors import Refusal
from sse_relay.relay import Relay
from sse_relay.routes import HANDLERS, answer_http_error, answer_refusal

_GC_THRESHOLDS = (50_000, 20, 50)
"""Frames are bytes, which are not tracked; a full collection over the logs of a busy day would be a visible pause."""


def build_app(relay: Relay, stop_server: Callable[[], None]) -> ASGIApp:
    """Return the ASGI application; it starts and ends the Kafka thread, the heartbeat and the drain."""

    def get_relay() -> Relay:
        return relay

    @contextlib.asynccontextmanager
    async def running(_: Litestar) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        reader = TopicReader(relay.settings, relay.hub, loop.call_soon_threadsafe)
        beside = [loop.create_task(relay.heartbeat.run()), loop.create_task(relay.drain.run(stop_server))]
        reader.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            relay.archive.close()
            await reader.stop()

    cors = CORSConfig(
        allow_origins=list(relay.settings.allowed_origins),
        allow_methods=["GET"],
        allow_headers=["Authorization", "Last-Event-ID", "Cache-Control"],
    )
    litestar = Litestar(
        HANDLERS,
        lifespan=[running],
        dependencies={"relay": Provide(get_relay, sync_to_thread=False)},
        exception_handlers={Refusal: answer_refusal, HTTPException: answer_http_error},
        cors_config=cors,
        openapi_config=OpenAPIConfig(
            title="draftstream relay",
            version=SCHEMA_VERSION,
            path="/schema",
            render_plugins=[JsonRenderPlugin()],
        ),
        logging_config=None,
    )
    return Entrance(relay, cast("ASGIApp", litestar), cors)
