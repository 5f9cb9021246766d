"""The door to published sites: only what is safe to ask for is got, and never without end."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from matrix.advice import download
from matrix.advice.download import AddressError, DownloadError, fetch
from tests.support.site_server import serving


@contextmanager
def small_limit(monkeypatch: pytest.MonkeyPatch, limit: int) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(download, "LIMIT", limit)
        yield


def test_more_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving({"/a": b"x" * 1000}) as address, small_limit(monkeypatch, 999), pytest.raises(DownloadError):
        fetch(f"{address}/a")
    with serving({"/a": b"x" * 1000}) as address, small_limit(monkeypatch, 1000):
        assert len(fetch(f"{address}/a")) == 1000


def test_a_redirect_is_followed_but_not_for_ever() -> None:
    with serving({"/a": "/b", "/b": "/c", "/c": b"here", "/loop": "/loop"}) as address:
        assert fetch(f"{address}/a") == b"here"
        with pytest.raises(DownloadError, match="redirects"):
            fetch(f"{address}/loop")


@pytest.mark.parametrize(
    "target", ["http://example.com/", "file:///etc/passwd", "ftp://127.0.0.1/", "//user:x@127.0.0.1/"]
)
def test_a_redirect_out_of_what_is_allowed_is_refused(target: str) -> None:
    with serving({"/a": target}) as address, pytest.raises(AddressError):
        fetch(f"{address}/a")


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "file:///etc/passwd",
        "ftp://a/b",
        "https://",
        "https://me:pw@a.b/",
        "http://[",
    ],
)
def test_an_address_that_is_not_safe_is_refused(address: str) -> None:
    with pytest.raises(AddressError):
        fetch(address)


def test_an_address_that_is_none_is_not_asked_for() -> None:
    with pytest.raises(DownloadError, match="InvalidURL"):
        fetch("https://localhost.evil:x")


def test_a_site_elsewhere_does_not_lead_to_this_machine() -> None:
    download.check_address("https://localhost/", first="https://localhost/")
    for address in ("https://localhost/", "http://127.0.0.1/"):
        with pytest.raises(AddressError):
            download.check_address(address, first="https://example.org/")


def test_nobody_there_says_so() -> None:
    with serving({}) as address:
        pass
    with pytest.raises(DownloadError, match="cannot get"):
        fetch(address)
