"""The application: looks up the endpoint of a request, and answers, counts and logs every one, whatever happens."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match, Route

from zoo_serve.bodies import drain, has_unread_body
from zoo_serve.guard import HEALTH
from zoo_serve.image_files import ImageFiles
from zoo_serve.limits import MAX_HEAD
from zoo_serve.messages import CLIENT_LEFT, SAFETY_HEADERS, Answer, Request, error_answer, json_answer
from zoo_serve.metrics import CONTENT_TYPE
from zoo_serve.pages import read_pages
from zoo_serve.protocol import VERSION, Protocol
from zoo_serve.repeats import Repeats
from zoo_serve.request_log import Recorder

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from zoo_serve.engine import Engine
    from zoo_serve.guard import Guard
    from zoo_serve.request_log import RequestLog


class Application:
    """An ASGI application.

    Args:
        engine: What computes.
        guard: Checks every request.
        log: Gets a line for every request.

    Attributes:
        repeats: Answers requests that repeat the head of an earlier one, so that they need not come here.
    """

    def __init__(self, engine: Engine, guard: Guard, log: RequestLog) -> None:
        """Read the page's files."""
        self._engine, self._guard, self._recorder = engine, guard, Recorder(engine.metrics, log)
        self.repeats = Repeats(engine, self._recorder)
        self._pages = read_pages()
        self._routes = [
            *Protocol(engine, self.repeats.learn).routes(),
            *ImageFiles(engine, has_keys=guard.has_keys).routes(),
            Route("/metrics", self._metrics),
            *(Route(path, self._page) for path in self._pages),
        ]
        parameters = {"name": engine.served.name, "version": VERSION}
        self._known = {  # paths of this model, which need no search
            (method, route.path.format_map(parameters)): (route, parameters)
            for route in self._routes
            for method in route.methods or ()
        }
        self._open = {*HEALTH, *self._pages}  # the page holds no secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        started, note = time.perf_counter(), ""
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            self._recorder.record(
                request, request.images, CLIENT_LEFT, time.perf_counter() - started, "the client left"
            )
            return
        except asyncio.CancelledError:  # the service stops, and the time for requests under way is over
            note = "The service has stopped."
            answer = json_answer({"error": note}, 503, {"Retry-After": "1"})
        except Exception as error:
            answer, note = error_answer(error)
        try:
            await self._send(request, answer, send)
        finally:
            seconds = time.perf_counter() - started
            self._recorder.record(request, request.images, answer.status, seconds, note)

    async def _answer(self, request: Request) -> Answer:
        """Check a request, and return the answer."""
        if sum(len(name) + len(value) for name, value in request.scope["headers"]) > MAX_HEAD:
            raise HTTPException(431, f"The headers are too large. Send at most {MAX_HEAD:,} bytes of them.")
        self._guard.check_site(request.method, request.path, request.headers)
        if request.path not in self._open:
            self._guard.check_key(request.headers)
        route = self._find(request)
        request.route = route.path
        answer: Answer = await route.endpoint(request)
        return answer

    def _find(self, request: Request) -> Route:
        if (request.method, request.path) in self._known:
            route, request.parameters = self._known[request.method, request.path]
            return route
        allowed = set()
        for route in self._routes:
            match, found = route.matches(request.scope)
            if match is Match.FULL:
                request.parameters = found["path_params"]
                return route
            if match is Match.PARTIAL:
                allowed |= route.methods or set()
        if allowed:
            text = f"This path does not take {request.method:.10}."
            raise HTTPException(405, text, {"Allow": ", ".join(sorted(allowed))})
        raise HTTPException(404, "There is nothing at this path. The page is at /, the model at /v2.")

    async def _metrics(self, _: Request) -> Answer:
        return Answer(self._engine.metrics.as_text(), CONTENT_TYPE)

    async def _page(self, request: Request) -> Answer:
        return self._pages[request.path]

    async def _send(self, request: Request, answer: Answer, send: Send) -> None:
        """Send an answer."""
        headers = [*answer.headers, *SAFETY_HEADERS]
        is_unread = has_unread_body(request)
        if is_unread:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        body = b"" if request.method == "HEAD" else answer.body
        if is_unread and answer.status != 408:
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await drain(request)
            body = b""
        await send({"type": "http.response.body", "body": body})
