"""Releases that the index has and the matrix has not."""

from collections.abc import Iterable

from matrix.environments.install import fetch_newest_release
from matrix.environments.spec import Environment
from matrix.versions import version_key


def describe_new_release(package: str, known: Iterable[Environment]) -> str:
    """Returns what to do about the newest release of `package`; empty where an environment of `known` has it.

    Raises NoIndexError.
    """
    newest = fetch_newest_release(package)
    pins = {vars(environment)[package] for environment in known}
    if newest in pins or version_key(newest) < max(map(version_key, pins)):  # a mirror may be behind
        return ""
    then = ", then `nox -s catalog`" if package == "transformers" else ""
    return f"{package} {newest} is out: add one line to matrix/environments.toml{then}"
