"""The only door of `matrix` to HTTP: files of a published site or of a hub, which may be anybody's."""

from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from matrix.errors import INFRASTRUCTURE, MatrixError

LIMIT: Final = 16 << 20
"""Bytes of a file of a site, unpacked. The page of an architecture has some hundred thousand."""
_REDIRECTS: Final = 3
_TIMEOUT: Final = (10, 30)
"""Seconds to connect, and between two pieces of an answer."""
_CHUNK: Final = 1 << 16
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class AddressError(MatrixError):
    """An address that is not downloaded from: somebody in between could change what is read there."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address!r} must begin with https://, unless it is on this machine")


class DownloadError(MatrixError):
    """An address without the file that should be there."""

    exit_code = INFRASTRUCTURE

    def __init__(self, address: str, problem: str) -> None:
        super().__init__(f"cannot get {address!r}: {problem}")


class StatusError(DownloadError):
    """An answer of HTTP that is not the file, with its status."""

    def __init__(self, address: str, status: int) -> None:
        self.status = status
        super().__init__(address, f"the answer is {status}")


class FileTooLargeError(DownloadError):
    """A file that is larger than it may be."""

    def __init__(self, address: str, limit: int) -> None:
        self.limit = limit
        super().__init__(address, f"it has more than {limit >> 20} MiB")


def fetch(address: str, *, limit: int = LIMIT, token: str = "") -> bytes:
    """Downloads the file at `address`: https, or http on this machine, at most `limit` bytes; redirects obey that too.

    The `token` is sent to the host of `address` only, whatever a redirect says; without one, nothing that could prove
    who asks is sent. Raises AddressError, StatusError, FileTooLargeError and DownloadError.
    """
    with requests.Session() as session:
        session.auth = _nobody  # otherwise requests looks for a password in ~/.netrc
        try:
            with _followed(session, address, token) as response:
                return _content(response, address, limit)
        except (requests.RequestException, ValueError) as error:
            raise DownloadError(address, type(error).__name__) from error


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _followed(session: requests.Session, address: str, token: str) -> requests.Response:
    """Returns the answer at the end of the redirects from `address`."""
    here = address
    for _ in range(_REDIRECTS + 1):
        check_address(here, first=address)
        proof = {"Authorization": f"Bearer {token}"} if token and _origin(here) == _origin(address) else {}
        response = session.get(here, headers=proof, stream=True, timeout=_TIMEOUT, allow_redirects=False)
        if not response.is_redirect:
            return response
        response.close()
        here = urljoin(here, response.headers["Location"])
    raise DownloadError(address, f"more than {_REDIRECTS} redirects")


def _origin(address: str) -> tuple[str, str]:
    parts = _parts(address)
    return parts.scheme, parts.netloc


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


def _content(response: requests.Response, address: str, limit: int) -> bytes:
    if response.status_code != requests.codes.ok:
        raise StatusError(address, response.status_code)
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > limit:
            raise FileTooLargeError(address, limit)
    return bytes(content)
