"""Makes the lock of the catalog: asks the probe of each version what there is, chooses, and asks how it becomes tiny."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from matrix.catalog.lock import Lock
from matrix.catalog.lockfile import CENSUS, DISCOVERY, inputs_digest
from matrix.discovery.answers import CensusAnswer, Discovery, FoundClass
from matrix.discovery.merge_versions import LockBuilder, choose_classes, choose_popular
from matrix.environments.install import install
from matrix.environments.spec import Environment
from matrix.errors import ProbeDiedError
from matrix.measure.probe_process import ask as ask_probe
from matrix.measure.probe_process import last_line
from matrix.progress import TerminalProgress
from matrix.versions import version_key

PROCESSES = 2

_ANSWER = TypeAdapter(CensusAnswer)
_Scanned = TypedDict("_Scanned", {"class": FoundClass, "unreached": tuple[str, ...]}, total=False)
_SCANNED = TypeAdapter(_Scanned)
_DISCOVERY = TypeAdapter(Discovery)
_ANSWERS: TypeAdapter[tuple[CensusAnswer, ...]] = TypeAdapter(tuple[CensusAnswer, ...])

_Value = TypeVar("_Value")


def discover(version: str, interpreter: Path, configs: Mapping[str, Any], log: Path) -> Discovery:
    """Returns every class of that version that has buffers; raises ProbeDiedError when the probe does not finish."""
    found: list[FoundClass] = []
    question = {"configs": configs, "processes": PROCESSES}
    for message in ask_probe("scan", question, interpreter, log, _SCANNED):
        if "class" in message:
            found.append(message["class"])
        elif "unreached" in message:
            return Discovery(version, tuple(found), message["unreached"])
    raise ProbeDiedError(f"transformers {version}", log, last_line(log))


def build_questions(asked: Sequence[FoundClass], seeds: LockBuilder) -> list[dict[str, Any]]:
    """Returns what the census is asked about each of `asked`."""
    return [{"id": found.id, "config": found.config, "seed": seeds.seed(found.id)} for found in asked]


def ask_census(entries: Sequence[Mapping[str, Any]], interpreter: Path, log: Path) -> tuple[CensusAnswer, ...]:
    """Returns how each architecture of `entries` becomes tiny; raises ProbeDiedError."""
    question = {"architectures": entries, "processes": PROCESSES}
    answers = tuple(ask_probe("census", question, interpreter, log, _ANSWER))
    if len(answers) < len(entries):
        raise ProbeDiedError("the census", log, last_line(log))
    return answers


def pick_environments(environments: Sequence[Environment]) -> list[Environment]:
    """Returns one environment for each version of transformers, the one with the newest deepspeed, the newest first."""
    by_deepspeed = sorted(environments, key=lambda environment: version_key(environment.deepspeed))
    versions = {environment.transformers: environment for environment in by_deepspeed}
    return [versions[version] for version in sorted(versions, key=version_key, reverse=True)]


@dataclass(frozen=True)
class DiscoverySetup:
    """Where environments are installed, which default configurations are changed how, and where progress is reported.

    `popular` are the ids that are asked about with or without buffers.
    """

    venvs: Path
    configs: Mapping[str, Any]
    progress: TerminalProgress
    popular: tuple[str, ...] = ()


def make_lock(environments: Sequence[Environment], means: DiscoverySetup) -> Lock:
    """Returns the lock of all versions of transformers in `environments`.

    The probe's answers are kept with each environment: another run asks only what was not asked by the same rules.
    Raises EnvironmentFailedError and ProbeDiedError: a lock without one of the versions would be wrong.
    """
    gathering = LockBuilder(means.popular)
    means.venvs.mkdir(parents=True, exist_ok=True)
    for environment in pick_environments(environments):
        discovery = _discovery(environment, means)
        chosen = choose_classes(discovery, tuple(gathering.architectures))
        asked = (*chosen, *choose_popular(means.popular, chosen, means.configs))
        gathering.add(discovery, _census(asked, environment, means, gathering))
    return gathering.lock(inputs_digest(environments))


def _discovery(environment: Environment, means: DiscoverySetup) -> Discovery:
    def ask() -> Discovery:
        interpreter = install_interpreter(environment, means)
        means.progress.step(f"looking for buffers in transformers {environment.transformers}")
        return discover(environment.transformers, interpreter, means.configs, find_log(environment, means))

    return ask_once(cache_path("discovery", DISCOVERY, environment, means, ""), _DISCOVERY, ask)


def _census(
    asked: Sequence[FoundClass], environment: Environment, means: DiscoverySetup, gathering: LockBuilder
) -> tuple[CensusAnswer, ...]:
    entries = build_questions(asked, gathering)

    def ask() -> tuple[CensusAnswer, ...]:
        interpreter = install_interpreter(environment, means)
        means.progress.step(f"making {len(entries)} architectures of transformers {environment.transformers} tiny")
        return ask_census(entries, interpreter, find_log(environment, means))

    question = json.dumps(entries, sort_keys=True)
    return ask_once(cache_path("census", CENSUS, environment, means, question), _ANSWERS, ask)


def install_interpreter(environment: Environment, means: DiscoverySetup) -> Path:
    """Installs an environment and returns its interpreter; raises EnvironmentFailedError."""
    means.progress.step(f"installing {environment.id}")
    return install(environment, means.venvs / environment.id)


def find_log(environment: Environment, means: DiscoverySetup) -> Path:
    """Returns where all other output of the probe in that environment goes."""
    return means.venvs / f"{environment.id}.log"


def cache_path(
    topic: str, files: Sequence[str], environment: Environment, means: DiscoverySetup, question: str
) -> Path:
    """Returns where the answer to `question` is kept: another place for other rules, another installation, another question."""
    digest = hashlib.sha256((inputs_digest([environment], files) + question).encode()).hexdigest()
    return means.venvs / f"{environment.id}.{topic}.{digest[:12]}.json"


def ask_once(file: Path, kind: TypeAdapter[_Value], ask: Callable[[], _Value]) -> _Value:
    """Returns what an earlier run kept in `file`; where that cannot be read, asks and keeps the answer there."""
    try:
        return kind.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        answer = ask()
    file.write_bytes(kind.dump_json(answer))
    return answer
