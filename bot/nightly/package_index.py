"""Asks the package index which releases of a package it has.

It uses the simple API (https://peps.python.org/pep-0691/), which PyPI and its mirrors have, at the address that pip would use.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import requests
from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename
from packaging.version import Version
from pydantic import TypeAdapter, ValidationError

from matrix.environments.pip_config import build_uv_variables
from matrix.errors import INFRASTRUCTURE, MatrixError

PYPI: Final = "https://pypi.org/simple"
TIMEOUT: Final = 30
LIMIT: Final = 16 * 2**20
"""Bytes of a page; transformers' has 0.5 MB."""

_FORM: Final = {"Accept": "application/vnd.pypi.simple.v1+json"}


class PackageIndexError(MatrixError):
    """The package index does not say which releases there are. The message leaves out its address, which may have a password."""

    exit_code = INFRASTRUCTURE

    def __init__(self, package: str, problem: str) -> None:
        super().__init__(
            f"cannot read the releases of {package} from the package index ({problem}): check the network and pip's index"
        )


@dataclass(frozen=True)
class _File:
    filename: str
    yanked: bool | str = False

    @property
    def version(self) -> Version | None:
        with suppress(InvalidWheelFilename):
            if self.filename.endswith(".whl"):
                return parse_wheel_filename(self.filename)[1]
        with suppress(InvalidSdistFilename):
            return parse_sdist_filename(self.filename)[1]
        return None


@dataclass(frozen=True)
class _Page:
    files: tuple[_File, ...]


_PAGE: Final = TypeAdapter(_Page)


def fetch_releases(package: str, variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Fetches the released versions of `package`, the oldest first, without yanked ones and previews.

    Raises PackageIndexError.
    """
    index = build_uv_variables(variables).get("UV_DEFAULT_INDEX", PYPI).rstrip("/")
    try:
        page = _PAGE.validate_json(_got(f"{index}/{package}/"))
    except (requests.RequestException, OSError) as error:
        raise PackageIndexError(package, type(error).__name__) from None  # its text quotes the address
    except ValidationError:
        raise PackageIndexError(package, "the answer is not a page of the simple API") from None
    found = {file.version for file in page.files if not file.yanked}
    return tuple(str(version) for version in sorted(v for v in found if v and not v.is_prerelease))


def _got(url: str) -> bytes:
    with requests.get(url, headers=_FORM, timeout=TIMEOUT, stream=True) as response:
        response.raise_for_status()
        return bytes(response.raw.read(LIMIT, decode_content=True))
