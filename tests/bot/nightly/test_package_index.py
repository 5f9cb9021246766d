"""The package index over a real socket: what counts as a release, and what is said when it does not answer."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from bot.nightly.package_index import PackageIndexError, releases

FILES = [
    {"filename": "transformers-5.10.0-py3-none-any.whl", "yanked": False},
    {"filename": "transformers-5.9.0.tar.gz", "yanked": False},
    {"filename": "transformers-5.9.0-py3-none-any.whl", "yanked": False},
    {"filename": "transformers-5.11.0rc1.tar.gz", "yanked": False},
    {"filename": "transformers-5.12.0.tar.gz", "yanked": "broken"},
    {"filename": "transformers-5.13.0.win32.exe", "yanked": False},
]


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


def asked(url: str) -> tuple[str, ...]:
    return releases("transformers", {"PIP_INDEX_URL": url, "PIP_CONFIG_FILE": "/dev/null"})


def test_releases_are_what_is_neither_a_preview_nor_yanked_in_the_order_of_versions() -> None:
    with index(200, json.dumps({"files": FILES, "meta": {"api-version": "1.1"}}).encode()) as url:
        assert asked(url) == ("5.9.0", "5.10.0")


@pytest.mark.parametrize(
    ("status", "body"), [(503, b""), (404, b"no"), (200, b"<html>"), (200, b'{"files": [{}]}'), (200, b"[]")]
)
def test_an_index_that_does_not_tell_is_an_error_without_its_password(status: int, body: bytes) -> None:
    with index(status, body) as url, pytest.raises(PackageIndexError, match="releases of transformers") as raised:
        asked(url)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/simple", "file:///no-index", "ftp://x/simple"])
def test_an_index_that_cannot_be_reached_is_an_error(url: str) -> None:
    with pytest.raises(PackageIndexError):
        asked(url)
