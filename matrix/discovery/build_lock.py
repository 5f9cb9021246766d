"""Make the lock of the catalog: ask the probe of each version what there is, choose, and ask how it becomes tiny."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from packaging.version import Version
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from matrix.catalog.lockfile import CENSUS, DISCOVERY, Lock, inputs_digest
from matrix.discovery.merge_versions import Answer, Discovery, Found, Gathering, chosen
from matrix.environments.install import install
from matrix.environments.spec import Environment
from matrix.errors import ProbeDiedError
from matrix.measure.probe_process import ask as ask_probe
from matrix.measure.probe_process import last_line
from matrix.progress import TerminalProgress

PROCESSES = 2

_ANSWER = TypeAdapter(Answer)
_Scanned = TypedDict("_Scanned", {"class": Found, "unreached": tuple[str, ...]}, total=False)
_SCANNED = TypeAdapter(_Scanned)
_DISCOVERY = TypeAdapter(Discovery)
_ANSWERS: TypeAdapter[tuple[Answer, ...]] = TypeAdapter(tuple[Answer, ...])

_Told = TypeVar("_Told")


def discover(version: str, interpreter: Path, configs: Mapping[str, Any], log: Path) -> Discovery:
    """Every class of that version that bears buffers; raises ProbeDiedError when the probe does not come to its end."""
    found: list[Found] = []
    question = {"configs": configs, "processes": PROCESSES}
    for message in ask_probe("scan", question, interpreter, log, _SCANNED):
        if "class" in message:
            found.append(message["class"])
        elif "unreached" in message:
            return Discovery(version, tuple(found), message["unreached"])
    raise ProbeDiedError(f"transformers {version}", log, last_line(log))


def questions(asked: Sequence[Found], seeds: Gathering) -> list[dict[str, Any]]:
    """What the census is told of each of `asked`."""
    return [{"id": found.id, "config": found.config, "seed": seeds.seed(found.id)} for found in asked]


def tiny(entries: Sequence[Mapping[str, Any]], interpreter: Path, log: Path) -> tuple[Answer, ...]:
    """How each architecture of the `questions` becomes tiny; raises ProbeDiedError."""
    question = {"architectures": entries, "processes": PROCESSES}
    answers = tuple(ask_probe("census", question, interpreter, log, _ANSWER))
    if len(answers) < len(entries):
        raise ProbeDiedError("the census", log, last_line(log))
    return answers


def newest_first(environments: Sequence[Environment]) -> list[Environment]:
    """One environment for each version of transformers, that with the newest deepspeed."""
    by_deepspeed = sorted(environments, key=lambda environment: Version(environment.deepspeed))
    versions = {environment.transformers: environment for environment in by_deepspeed}
    return [versions[version] for version in sorted(versions, key=Version, reverse=True)]


@dataclass(frozen=True)
class Means:
    """Where environments are installed, what some default configurations must be told, and who is told how it goes."""

    venvs: Path
    configs: Mapping[str, Any]
    progress: TerminalProgress


def make_lock(environments: Sequence[Environment], means: Means) -> Lock:
    """The lock of all versions of transformers in `environments`.

    What the probe says is kept beside each environment: made anew, the lock asks only what it has not asked by the same rules.
    Raises EnvironmentFailedError and ProbeDiedError: a lock that lacks a version would be no lock.
    """
    gathering = Gathering()
    means.venvs.mkdir(parents=True, exist_ok=True)
    for environment in newest_first(environments):
        discovery = _discovery(environment, means)
        gathering.add(
            discovery, _census(chosen(discovery, tuple(gathering.architectures)), environment, means, gathering)
        )
    return gathering.lock(inputs_digest(environments))


def _discovery(environment: Environment, means: Means) -> Discovery:
    def ask() -> Discovery:
        interpreter = _installed(environment, means)
        means.progress.step(f"looking for buffers in transformers {environment.transformers}")
        return discover(environment.transformers, interpreter, means.configs, _log(environment, means))

    return _once(kept("discovery", DISCOVERY, environment, means, ""), _DISCOVERY, ask)


def _census(asked: Sequence[Found], environment: Environment, means: Means, gathering: Gathering) -> tuple[Answer, ...]:
    entries = questions(asked, gathering)

    def ask() -> tuple[Answer, ...]:
        interpreter = _installed(environment, means)
        means.progress.step(f"making {len(entries)} architectures of transformers {environment.transformers} tiny")
        return tiny(entries, interpreter, _log(environment, means))

    question = json.dumps(entries, sort_keys=True)
    return _once(kept("census", CENSUS, environment, means, question), _ANSWERS, ask)


def _installed(environment: Environment, means: Means) -> Path:
    means.progress.step(f"installing {environment.id}")
    return install(environment, means.venvs / environment.id)


def _log(environment: Environment, means: Means) -> Path:
    return means.venvs / f"{environment.id}.log"


def kept(topic: str, files: Sequence[str], environment: Environment, means: Means, question: str) -> Path:
    """Where the answer to `question` is kept: another place for other rules, another installation, another question."""
    digest = hashlib.sha256((inputs_digest([environment], files) + question).encode()).hexdigest()
    return means.venvs / f"{environment.id}.{topic}.{digest[:12]}.json"


def _once(file: Path, kind: TypeAdapter[_Told], ask: Callable[[], _Told]) -> _Told:
    """What an earlier run kept in `file`; where nothing there can be read, what `ask` gives, which is kept there."""
    try:
        return kind.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        told = ask()
    file.write_bytes(kind.dump_json(told))
    return told
