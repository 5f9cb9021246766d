"""Passes pip's settings on to uv, which reads none of them: index, find-links, certificates. Standard library only.

So that a mirror or a local folder of wheels that works with pip works here. File locations and precedence are those
of https://pip.pypa.io/en/stable/topics/configuration/, the uv names those of https://docs.astral.sh/uv/reference/environment/.
"""

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.errors import DataFileError

_UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
}
_SEPARATORS = {"find-links": ","}


def _files(variables: Mapping[str, str]) -> Iterator[Path]:
    """Yields pip's configuration files, the weakest first."""
    if variables.get("PIP_CONFIG_FILE") == os.devnull:
        return
    home = Path(variables.get("HOME", "~")).expanduser()
    yield Path("/etc/xdg/pip/pip.conf")
    yield Path("/etc/pip.conf")
    if sys.platform == "darwin":
        yield home / "Library/Application Support/pip/pip.conf"
    yield home / ".pip/pip.conf"
    yield Path(variables.get("XDG_CONFIG_HOME", home / ".config")) / "pip/pip.conf"
    if "PIP_CONFIG_FILE" in variables:
        yield Path(variables["PIP_CONFIG_FILE"])


def _parsed(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise DataFileError(file, str(error).splitlines()) from error
    return parser


def _settings(variables: Mapping[str, str]) -> dict[str, str]:
    settings: dict[str, str] = {}
    parsers = [_parsed(file) for file in _files(variables)]
    for section in ("global", "install"):  # pip lets [install] of any file win over [global] of every other
        for parser in parsers:
            if parser.has_section(section):
                settings.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    named = {name: variables.get(f"PIP_{name.upper().replace('-', '_')}") for name in (*_UV_NAMES, "no-index")}
    settings.update({name: value for name, value in named.items() if value})
    return settings


def build_uv_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Returns `variables` of a process, and what uv needs to install from where pip would.

    A variable of uv's own that is already set wins. pip treats its indexes as equals, so uv is set to do the same.
    Raises DataFileError for a file that pip could not read either.
    """
    settings = _settings(variables)
    found = {
        uv_name: _SEPARATORS.get(name, " ").join(settings[name].split())
        for name, uv_name in _UV_NAMES.items()
        if settings.get(name)
    }
    if settings.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        found["UV_DEFAULT_INDEX"] = "file:///no-index"  # uv has no variable for it: an index that holds nothing
        found.pop("UV_INDEX", None)
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return {**found, **variables}
