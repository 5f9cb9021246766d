"""A model of a hub: its config.json is downloaded, never weights or code."""

import os
import re
from http import HTTPStatus
from typing import Final

from matrix.download import AddressError, DownloadError, FileTooLargeError, StatusError, check_address, fetch
from matrix.errors import INFRASTRUCTURE, MatrixError, NotAConfigError
from matrix.own_model.config_file import CONFIG_LIMIT

HUB: Final = "https://huggingface.co"
_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_YES: Final = ("1", "ON", "YES", "TRUE")
"""What huggingface_hub takes for yes: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables."""

_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)


class OfflineError(MatrixError):
    """A hub that is not asked, because a variable says so."""

    def __init__(self, repository: str, variable: str) -> None:
        super().__init__(_say(repository, f"{variable} is set, so no hub is asked: unset it"))


class RepositoryError(MatrixError):
    """A repository whose configuration the hub does not give."""

    def __init__(self, repository: str, hub: str, status: int) -> None:
        # The hub answers 401 for a name that does not exist too, so that nobody can guess private ones.
        why = "is gated or private, or does not exist: set HF_TOKEN to a token that can read it, check the name"
        if status == HTTPStatus.NOT_FOUND:
            why = "does not exist, or has no config.json: check the name"
        super().__init__(_say(repository, f"on {hub} it {why}"))


class HubAddressError(MatrixError):
    """A hub whose address is not downloaded from."""

    def __init__(self, problem: AddressError) -> None:
        super().__init__(f"HF_ENDPOINT, the address of the hub: {problem}")


class NoHubError(MatrixError):
    """A hub that gives no usable answer."""

    exit_code = INFRASTRUCTURE

    def __init__(self, repository: str, hub: str, problem: DownloadError) -> None:
        super().__init__(_say(repository, f"{hub} did not answer ({problem}): check HF_ENDPOINT and the network"))


def _say(repository: str, why: str) -> str:
    by_hand = f"`hf download {repository} config.json --local-dir FOLDER` on a machine that can"
    return f"there is no folder or file {repository!r} here, and {why}, or download the config.json ({by_hand}) and pass its folder"


def is_repository(target: str) -> bool:
    """Returns whether `target` has the form of a hub's id: `organisation/name`, with no file's name."""
    return bool(_ID.fullmatch(target)) and not target.endswith(".json")


def _find_hub() -> str:
    hub = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    try:
        check_address(hub, first=hub)
    except AddressError as error:
        raise HubAddressError(error) from error
    return hub


def fetch_config(repository: str) -> bytes:
    """Downloads the config.json of `repository` from the hub that HF_ENDPOINT names, huggingface.co without it.

    HF_TOKEN is sent to that hub only. Raises OfflineError, RepositoryError, NotAConfigError,
    NoHubError, HubAddressError, and AddressError for a redirect.
    """
    hub = _find_hub()
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(variable, "").upper() in _YES:
            raise OfflineError(repository, variable)
    token = os.environ.get("HF_TOKEN", "").strip()
    try:
        return fetch(f"{hub}/{repository}/resolve/main/config.json", limit=CONFIG_LIMIT, token=token)
    except FileTooLargeError as error:
        raise NotAConfigError(f"config.json of {repository}", f"it has more than {error.limit >> 20} MiB") from error
    except StatusError as error:
        if error.status in _REFUSED:
            raise RepositoryError(repository, hub, error.status) from error
        raise NoHubError(repository, hub, error) from error
    except DownloadError as error:
        raise NoHubError(repository, hub, error) from error
