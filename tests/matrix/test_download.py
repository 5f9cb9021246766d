"""The door to published sites and hubs: only what is safe to ask for is got, and never without end."""

from http import HTTPStatus
from pathlib import Path

import pytest

from matrix import download
from matrix.download import AddressError, DownloadError, StatusError, fetch
from tests.support.site_server import serving

MINE = "hf_mine"


def test_more_than_the_limit_is_refused() -> None:
    with serving({"/a": b"x" * 1000}) as address:
        assert len(fetch(f"{address}/a", limit=1000)) == 1000
        with pytest.raises(DownloadError, match="it has more than"):
            fetch(f"{address}/a", limit=999)


def test_a_token_is_for_the_host_that_was_named_and_no_redirect_takes_it_elsewhere() -> None:
    told: list[str | None] = []
    others: list[str | None] = []
    with serving({"/b": b"there"}, tokens=others) as other:
        files = {"/a": "/b", "/b": b"here", "/away": f"{other}/b"}
        with serving(files, tokens=told) as hub:
            assert fetch(f"{hub}/a", token=MINE) == b"here"
            assert fetch(f"{hub}/away", token=MINE) == b"there"
            assert fetch(f"{hub}/b") == b"here"
    assert told == [f"Bearer {MINE}", f"Bearer {MINE}", f"Bearer {MINE}", None]
    assert others == [None]


def test_no_password_of_netrc_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    asked: list[str | None] = []
    with serving({"/a": b""}, tokens=asked) as address:
        fetch(f"{address}/a")
    assert asked == [None]


def test_an_answer_that_is_not_the_file_has_its_status() -> None:
    with serving({"/gated": HTTPStatus.UNAUTHORIZED}) as address:
        for path, status in {"/gated": 401, "/nothing": 404}.items():
            with pytest.raises(StatusError, match=f"the answer is {status}") as caught:
                fetch(f"{address}{path}")
            assert caught.value.status == status


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
