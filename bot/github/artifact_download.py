"""Downloads artifact archives: GitHub redirects to another host, which must never see the token."""

import json

import requests
from github.Requester import Requester

from bot.github.errors import TooLargeError

_DOING = "downloading an artifact"
_TIMEOUT = 60
_CHUNK = 1 << 16


def download_zip(requester: Requester, url: str, limit: int) -> bytes:
    """Returns the bytes behind the API address `url`.

    PyGithub rejects the redirect (the archive's host is not GitHub's), so its Location is read here, and fetched without
    Authorization: https://docs.github.com/en/rest/actions/artifacts#download-an-artifact
    Raises TooLargeError beyond `limit` bytes, and what PyGithub and requests raise.
    """
    status, headers, body = requester.requestJson("GET", url)
    if status != 302:
        raise requester.createException(status, headers, json.loads(body or "{}"))
    return _plain_get(headers["location"], limit)


def _plain_get(location: str, limit: int) -> bytes:
    with requests.Session() as session:
        session.auth = Requester.noopAuth  # otherwise requests looks for a password in ~/.netrc
        # Not packed once more and not redirected again: the limit counts the bytes that this host sends.
        with session.get(
            location, stream=True, timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"}, allow_redirects=False
        ) as response:
            response.raise_for_status()
            return _capped(response, limit)


def _capped(response: requests.Response, limit: int) -> bytes:
    claimed = response.headers.get("Content-Length", "0")
    if claimed.isdigit() and int(claimed) > limit:
        raise TooLargeError(_DOING, f"it has {int(claimed):,} bytes, the limit is {limit:,}")
    # The claimed size may be missing or wrong, so what arrives is counted as well.
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > limit:
            raise TooLargeError(_DOING, f"it has more than the limit of {limit:,} bytes")
    return bytes(content)
