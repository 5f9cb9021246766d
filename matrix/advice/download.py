"""The only door of `matrix` to HTTP: files of a published site, which may be anybody's."""

from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from matrix.errors import INFRASTRUCTURE, MatrixError

LIMIT: Final = 16 << 20
"""Bytes of a file, unpacked. The page of an architecture has some hundred thousand."""
_REDIRECTS: Final = 3
_TIMEOUT: Final = (10, 30)
"""Seconds to connect, and between two pieces of an answer."""
_CHUNK: Final = 1 << 16
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class AddressError(MatrixError):
    """An address that is not downloaded from: somebody in between could change what is read there."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address!r} is neither an https:// address nor one of this machine")


class DownloadError(MatrixError):
    """An address without the file that should be there."""

    exit_code = INFRASTRUCTURE

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"cannot get {address!r}: {problem}")


def fetch(address: str) -> bytes:
    """Downloads the file at `address`: https, or http on this machine, at most LIMIT bytes; no redirect leads out of that.

    Nothing that could prove who asks is sent. Raises AddressError and DownloadError.
    """
    with requests.Session() as session:
        session.auth = _nobody  # otherwise requests looks for a password in ~/.netrc
        try:
            return _followed(session, address)
        except (requests.RequestException, ValueError) as error:
            raise DownloadError(address, type(error).__name__) from error


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _followed(session: requests.Session, address: str) -> bytes:
    here = address
    for _ in range(_REDIRECTS + 1):
        check_address(here, first=address)
        with session.get(here, stream=True, timeout=_TIMEOUT, allow_redirects=False) as response:
            if not response.is_redirect:
                return _content(response, address)
            here = urljoin(here, response.headers["Location"])
    raise DownloadError(address, f"more than {_REDIRECTS} redirects")


def check_address(address: str, first: str) -> None:
    """Raises AddressError unless `address`, found from `first` on, may be got: a site elsewhere must not lead to this machine."""
    parts, began = _parts(address), _parts(first)
    here = parts.hostname in _LOOPBACK and began.hostname in _LOOPBACK and parts.scheme in ("http", "https")
    elsewhere = parts.scheme == "https" and parts.hostname and parts.hostname not in _LOOPBACK
    if not (here or elsewhere) or parts.username or parts.password:
        raise AddressError(address)


def _parts(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise AddressError(address) from error


def _content(response: requests.Response, address: str) -> bytes:
    if response.status_code != requests.codes.ok:
        raise DownloadError(address, f"the answer is {response.status_code}")
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > LIMIT:
            raise DownloadError(address, f"it has more than {LIMIT >> 20} MiB")
    return bytes(content)
