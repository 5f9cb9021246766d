"""A GitHub for tests: real sockets, state, paging, limits, and failures on demand. Knows nothing of the bot.

In a test it is `serving(State(...))`; from a shell `python -m tests.support.github.server --port 8080 --state seed.json`, with
`PUT /_test/artifacts/{run}/{name}` to upload an archive, `GET /_test/state` to look and `PUT /_test/state` to replace.
Every exchange is held against GitHub's own OpenAPI description; what does not fit is kept in `violations`.
"""

import argparse
import copy
import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import TypeAdapter

from tests.support.github.description import Answer, Request, template_of, violations
from tests.support.github.faults import DroppedError, Fault, Kind
from tests.support.github.routes import NOT_FOUND, ROUTES, Call, MissingError, refused, renamed
from tests.support.github.state import Artifact, State

RATE = 5000


class GitHubServer:
    """The server's mind: turns requests into answers.

    `requests` are those so far, `downloads` the headers of those at the archives' host.
    """

    def __init__(self, state: State, faults: Sequence[Fault] = ()) -> None:
        self.state = state
        self.faults = list(faults)
        self.requests: list[Request] = []
        self.downloads: list[dict[str, str]] = []
        self.violations: list[str] = []
        self.url = self.blobs = ""
        self.lock = threading.Lock()
        self._before = copy.deepcopy(state)

    def answer(self, request: Request) -> Answer:
        """What GitHub says to `request`. Raises DroppedError."""
        with self.lock:
            self.requests.append(request)
            fault = next((each for each in self.faults if each.due(request)), None)
            return self._failing(request, fault) if fault else self._checked(request)

    def _failing(self, request: Request, fault: Fault) -> Answer:
        if fault.kind is Kind.STALE:
            return self._checked(request, self._before)
        if fault.kind is Kind.FORGET:
            return self._checked(request, copy.deepcopy(self.state))
        answer = self._checked(request) if fault.applied or fault.kind is Kind.CUT else None
        if fault.kind is Kind.STATUS:
            return replace(refused(fault.status, fault.message), headers=fault.headers)
        raise DroppedError(answer if fault.kind is Kind.CUT else None)

    def _checked(self, request: Request, state: State | None = None) -> Answer:
        named = renamed(request, self.state, self.url)
        if isinstance(named, Answer):
            return named
        if request.method != "GET" and state is None:
            self._before = copy.deepcopy(self.state)
        answer = self._routed(named, state or self.state)
        self.violations += violations(named, answer)
        return answer

    def _routed(self, request: Request, state: State) -> Answer:
        token = request.headers.get("authorization", "").partition(" ")[2]
        login = state.tokens.get(token, "")
        fitting = template_of(request.path)
        if not login and not request.path.startswith("/app/"):
            return refused(401, "Bad credentials")
        if fitting is None or (request.method, fitting[0]) not in ROUTES:
            return NOT_FOUND
        params = {name: unquote(value) for name, value in fitting[1].items()}
        try:
            return ROUTES[request.method, fitting[0]](Call(request, params, state, self.url, self.blobs, login))
        except MissingError:
            return NOT_FOUND

    def artifact(self, path: str) -> bytes | None:
        """The archive behind an address of the archives' host."""
        every = [artifact for repository in self.state.repositories for artifact in repository.artifacts]
        return next((each.content for each in every if path == f"/{each.id}?sig=signature"), None)

    def test_request(self, request: Request) -> Answer:
        """What whoever drives the server asks of it, beside the API."""
        parts = request.path.split("/")
        if request.method == "PUT" and parts[2] == "artifacts":
            return self._upload(int(parts[3]), unquote(parts[4]), request.body)
        if request.method == "PUT":
            self.state = state_from(request.body)
        shown = {"state": asdict(self.state), "violations": self.violations, "requests": _lines(self.requests)}
        return Answer(200, json.loads(json.dumps(shown, default=len)))

    def _upload(self, run: int, name: str, content: bytes) -> Answer:
        owners = [each for each in self.state.repositories if run in {known.id for known in each.runs}]
        for repository in owners:
            kept = [each for each in repository.artifacts if (each.run, each.name) != (run, name)]
            repository.artifacts = [*kept, Artifact(self.state.new_id(), run, name, content)]
        return Answer(200, {}) if owners else NOT_FOUND


def _lines(requests: Sequence[Request]) -> list[str]:
    return [f"{request.method} {request.path}" for request in requests]


def state_from(text: bytes) -> State:
    """The state that `text` (JSON) describes; what it leaves out has the dataclasses' values."""
    return TypeAdapter(State).validate_python(json.loads(text))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    mind: ClassVar[GitHubServer]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        request = Request(self.command, parts.path, query, headers, self.rfile.read(length))
        try:
            self._send(self._answer(request), headers.get("if-none-match", ""))
        except DroppedError as dropped:
            self._drop(dropped.sent)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/_test/"):
            return self.mind.test_request(request)
        return self.mind.answer(request)

    def _send(self, answer: Answer, known: str) -> None:
        body = answer.body
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        same = answer.status == 200 and self.command == "GET" and known == etag
        self._head(304 if same else answer.status, {"ETag": etag, **_rate(self.mind), **answer.headers})
        if not same and answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not same:
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        for name, value in headers.items():
            self.send_header(name, value)

    def _drop(self, sent: Answer | None) -> None:
        self.close_connection = True
        if sent:
            self._head(sent.status, {"Content-Length": str(len(sent.body))})
            self.end_headers()
            self.wfile.write(sent.body[: len(sent.body) // 2])

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


class _BlobHandler(_Handler):
    """The archives' host: who brings a token is turned away, as Azure does."""

    def do_GET(self) -> None:
        self.mind.downloads.append({name.lower(): value for name, value in self.headers.items()})
        asked = Request("GET", f"/blobs{self.path}")
        fault = next((each for each in self.mind.faults if each.due(asked)), None)
        content = self.mind.artifact(self.path)
        status = 400 if "Authorization" in self.headers else 404 if content is None else 200
        body = content or b"" if status == 200 else b"no"
        if fault and fault.kind is Kind.STATUS:
            status, body = fault.status, b"no"
        self._give(status, body, fault.kind if fault else Kind.STATUS)

    def _give(self, status: int, body: bytes, kind: Kind) -> None:
        self.close_connection = kind is not Kind.STATUS
        if kind is Kind.DROP:
            return
        self._head(status, {} if kind is Kind.UNSIZED else {"Content-Length": str(len(body))})
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind is Kind.CUT else body)


def _rate(mind: GitHubServer) -> dict[str, str]:
    left = str(max(1, RATE - len(mind.requests)))
    return {"X-RateLimit-Limit": str(RATE), "X-RateLimit-Remaining": left, "X-RateLimit-Reset": "1800000000"}


@contextmanager
def serving(state: State, faults: Sequence[Fault] = (), port: int = 0) -> Iterator[GitHubServer]:
    """A running server and, on another host name and port, the one that gives archives."""
    mind = GitHubServer(state, faults)
    handlers = [type("Handler", (base,), {"mind": mind}) for base in (_Handler, _BlobHandler)]
    with (
        ThreadingHTTPServer(("127.0.0.1", port), handlers[0]) as api,
        ThreadingHTTPServer(("127.0.0.1", 0), handlers[1]) as blobs,
    ):
        mind.url = f"http://127.0.0.1:{api.server_port}"
        mind.blobs = f"http://localhost:{blobs.server_port}"
        threads = [threading.Thread(target=each.serve_forever, args=(0.02,), daemon=True) for each in (api, blobs)]
        for thread in threads:
            thread.start()
        try:
            yield mind
        finally:
            for each in (api, blobs):
                each.shutdown()
            for thread in threads:
                thread.join()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--state", type=Path, required=True)
    chosen = parser.parse_args()
    with serving(state_from(chosen.state.read_bytes()), port=chosen.port) as server:
        print(server.url, flush=True)  # noqa: T201, whoever started it reads where it is
        threading.Event().wait()
