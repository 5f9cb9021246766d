"""A published site for tests: files, redirects and bad answers from a real socket on this machine."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NIGHT = "2026-11-25"

ENVIRONMENT = {
    "id": "transformers-5.6.0+deepspeed-0.19.8+torch-2.13.0+cpu",
    "page": "environments/transformers-5.6.0,deepspeed-0.19.8.html",
    "transformers": "5.6.0",
    "deepspeed": "0.19.8",
    "device": "cpu",
    "night": NIGHT,
    "stale": [],
}


def environment(name: str, **other: Any) -> dict[str, Any]:
    page = f"environments/{name}.html"
    return {**ENVIRONMENT, "id": name, "transformers": name, "page": page, **other}


def place(environment: Mapping[str, Any], load: str | None = "pass", save: str | None = "pass") -> dict[str, Any]:
    cells = [
        {"loader": "stock", "check": check, "verdict": verdict, "page": "cases/x.html"}
        for check, verdict in (("load", load), ("save", save))
    ]
    return {"environment": environment, "cells": cells, "edge": ""}


def site(*places: Mapping[str, Any], flaky: Any = 0, torch: str = "2.13.0+cpu") -> dict[str, Any]:
    """The files of a site with one architecture, by path; `flaky` and `torch` are those of all environments."""
    index = {
        "schema": 1,
        "kind": "architectures",
        "night": NIGHT,
        "architectures": [{"architecture": "bert:BertModel", "page": "architectures/b~B.html"}],
    }
    page = {"schema": 1, "kind": "architecture", "grids": [{"rows": [{"places": [[one] for one in places]}]}]}
    installed = {
        "schema": 1,
        "kind": "environment",
        "flaky": flaky,
        "view": {"info": {"torch": torch, "accelerate": "1.15.0"}},
    }
    pages = {f"/{one['environment']['page'].removesuffix('.html')}.json": installed for one in places}
    return {"/architectures/index.json": index, "/architectures/b~B.json": page, **pages}


class _Handler(BaseHTTPRequestHandler):
    files: Mapping[str, Any]

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        if isinstance(content, str):
            self.send_response(302)
            self.send_header("Location", content)
            self.end_headers()
            return
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(404 if content is None else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@contextmanager
def serving(files: Mapping[str, Any]) -> Iterator[str]:
    """The address of a server that answers with `files` by path: values as JSON, bytes as they are, text as redirects."""
    handler = type("Handler", (_Handler,), {"files": files})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
