"""A package index over a real socket."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def index(status: int, body: bytes) -> Iterator[str]:
    """An index, whose address has a password in it, that answers everything with `body`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Accept"] == "application/vnd.pypi.simple.v1+json"
            self.send_response(status if self.path == "/simple/transformers/" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://me:hunter2@127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()
