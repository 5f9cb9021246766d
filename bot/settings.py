"""Reads the bot's settings, `settings.toml`: which repositories it watches and where it may write."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Final

import tomllib
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from bot.github.types import Login, RepositoryName
from matrix.environments.packages import PACKAGES
from matrix.errors import DataFileError
from matrix.history.snapshot import TRUSTED
from matrix.model import Device

SETTINGS: Final = Path(__file__).with_name("settings.toml")
SLACK: Final = timedelta(days=14)
"""How long nightly runs may fail before their older results no longer count."""

WATCHED: Final = tuple(package.repository for package in PACKAGES.values() if package.repository)
"""The repositories that are watched where the settings name none: those of all packages."""

_STRICT: Final = ConfigDict(extra="forbid", strict=True)
_Count = Annotated[int, Field(ge=1, le=5000)]


@dataclass(frozen=True)
class Budget:
    """The most that one watch run does: pull requests assessed, comparisons started, and requests to GitHub."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    pull_requests: _Count
    dispatches: _Count
    requests: _Count


@dataclass(frozen=True)
class Nightly:
    """How a nightly run measures: on `device`, on at most `shards` machines, so that no result is older than `oldest` days."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    device: Device = Device.CUDA
    shards: Annotated[int, Field(ge=1, le=256)] = (
        8  # jobs of a matrix: https://docs.github.com/actions/reference/limits
    )
    oldest: Annotated[int, Field(ge=7, le=(TRUSTED - SLACK).days)] = 30


@dataclass(frozen=True)
class Settings:
    """The bot's account, the repositories it watches, and those besides its own where it may comment."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    login: Login
    watch: Annotated[tuple[RepositoryName, ...], Field(max_length=8)]  # the tracking issue holds a cursor for each
    comment: tuple[RepositoryName, ...]
    budget: Budget
    nightly: Nightly = Nightly()

    def may_comment(self, repository: str, project: str) -> bool:
        """Tests whether the bot of `project` may comment in `repository`; GitHub ignores the case of names."""
        return repository.lower() in {name.lower() for name in (project, *self.comment)}


def load_settings(path: Path = SETTINGS) -> Settings:
    """Reads the settings in `path`; raises DataFileError with all of the file's mistakes."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(Settings).validate_json(json.dumps({"watch": WATCHED, **data}, default=str))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise DataFileError(path, problems) from error
    except (OSError, ValueError) as error:
        raise DataFileError(path, [str(error)]) from error
