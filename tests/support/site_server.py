"""A published site, or a hub, for tests: files, redirects and bad answers from a real socket on this machine."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NIGHT = "2026-11-25"

ADVICE = "/api/v1/advice.json"
ENVIRONMENT = {
    "id": "transformers-5.6.0+deepspeed-0.19.8+torch-2.13.0+cpu",
    "transformers": "5.6.0",
    "deepspeed": "0.19.8",
    "torch": "2.13.0+cpu",
    "accelerate": "1.15.0",
    "device": "cpu",
    "measured": NIGHT,
    "stale": False,
    "flaky": 0,
}

Place = tuple[dict[str, Any], dict[str, str]]
"""An environment, and the verdicts of its cases."""


def environment(name: str, **other: Any) -> dict[str, Any]:
    return {**ENVIRONMENT, "id": name, "transformers": name, **other}


def place(environment: dict[str, Any], load: str | None = "pass", save: str | None = "pass") -> Place:
    return environment, {f"stock-{check}": verdict for check, verdict in (("load", load), ("save", save)) if verdict}


def site(*places: Place) -> dict[str, Any]:
    """The files of a site with one architecture, by path."""
    verdicts = {environment["id"]: cases for environment, cases in places}
    environments = [environment for environment, _ in places]
    advice = {"schema": 1, "newest": NIGHT, "environments": environments, "verdicts": {"bert:BertModel": verdicts}}
    return {ADVICE: advice}


class _Handler(BaseHTTPRequestHandler):
    files: Mapping[str, Any]
    tokens: list[str | None]

    def do_GET(self) -> None:
        self.tokens.append(self.headers["Authorization"])
        content = self.files.get(self.path, HTTPStatus.NOT_FOUND)
        if isinstance(content, str):
            self.send_response(302)
            self.send_header("Location", content)
            self.end_headers()
            return
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(content if isinstance(content, HTTPStatus) else HTTPStatus.OK)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def serving(files: Mapping[str, Any], tokens: list[str | None] | None = None) -> Iterator[str]:
    """The address of a server that answers with `files` by path: values as JSON, bytes as they are, text as redirects.

    What each request says to prove who asks is added to `tokens`.
    """
    handler = type("Handler", (_Handler,), {"files": files, "tokens": [] if tokens is None else tokens})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
