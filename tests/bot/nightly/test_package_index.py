"""The package index over a real socket: what counts as a release, and what is said when it does not answer."""

import json

import pytest

from bot.nightly.package_index import PackageIndexError, fetch_releases
from tests.support.nightly.package_index import index

FILES = [
    {"filename": "transformers-5.10.0-py3-none-any.whl", "yanked": False},
    {"filename": "transformers-5.9.0.tar.gz", "yanked": False},
    {"filename": "transformers-5.9.0-py3-none-any.whl", "yanked": False},
    {"filename": "transformers-5.11.0rc1.tar.gz", "yanked": False},
    {"filename": "transformers-5.12.0.tar.gz", "yanked": "broken"},
    {"filename": "transformers-5.13.0.win32.exe", "yanked": False},
]


def asked(url: str) -> tuple[str, ...]:
    return fetch_releases("transformers", {"PIP_INDEX_URL": url, "PIP_CONFIG_FILE": "/dev/null"})


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
