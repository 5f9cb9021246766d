"""Make the lock of the catalog: ask the probe of each version what there is, choose, and ask how it becomes tiny."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.version import Version
from pydantic import TypeAdapter, ValidationError

from matrix import runner
from matrix.discovered import Answer, Discovery, Found, Gathering, chosen
from matrix.environments import Environment
from matrix.errors import ProbeDiedError
from matrix.lock import Lock, inputs_digest
from matrix.messages import strictly
from matrix.progress import TerminalProgress

PROCESSES = 2

_FOUND = TypeAdapter(Found)
_ANSWER = TypeAdapter(Answer)
_UNREACHED = TypeAdapter(tuple[str, ...])

Findings = tuple[Discovery, tuple[Answer, ...]]
"""What one version of transformers has, and how what was chosen of it becomes tiny."""
_FINDINGS: TypeAdapter[Findings] = TypeAdapter(Findings)


def discover(version: str, interpreter: Path, configs: Mapping[str, Any], log: Path) -> Discovery:
    """Every class of that version that bears buffers; raises ProbeDiedError when the probe does not come to its end."""
    found: list[Found] = []
    question = {"configs": configs, "processes": PROCESSES}
    for message in runner.ask("discovery", question, interpreter, log):
        match message:
            case {"class": values}:
                found.append(strictly(_FOUND, values))
            case {"unreached": sites}:
                return Discovery(version, tuple(found), strictly(_UNREACHED, sites))
            case _:
                pass
    raise ProbeDiedError(f"transformers {version}", log, runner.last_line(log))


def tiny(asked: Sequence[Found], seeds: Gathering, interpreter: Path, log: Path) -> tuple[Answer, ...]:
    """How each of `asked` becomes tiny; raises ProbeDiedError."""
    entries = [{"id": found.id, "config": found.config, "seed": seeds.seed(found.id)} for found in asked]
    question = {"architectures": entries, "processes": PROCESSES}
    answers = [strictly(_ANSWER, values) for values in runner.ask("census", question, interpreter, log)]
    if len(answers) < len(entries):
        raise ProbeDiedError("the census", log, runner.last_line(log))
    return tuple(answers)


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

    What a version has is kept beside its environment: made anew, the lock asks only those that it has not asked by the same rules.
    Raises EnvironmentFailedError and ProbeDiedError: a lock that lacks a version would be no lock.
    """
    gathering = Gathering()
    means.venvs.mkdir(parents=True, exist_ok=True)
    for environment in newest_first(environments):
        kept = means.venvs / f"{environment.id}.{inputs_digest([environment])[-12:]}.json"
        discovery, answers = _kept(kept) or _asked(environment, means, gathering)
        kept.write_bytes(_FINDINGS.dump_json((discovery, answers)))
        gathering.add(discovery, answers)
    return gathering.lock(inputs_digest(environments))


def _kept(file: Path) -> Findings | None:
    """What an earlier run found and kept in `file`, None for nothing that can be read."""
    try:
        return _FINDINGS.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None


def _asked(environment: Environment, means: Means, gathering: Gathering) -> Findings:
    version, log = environment.transformers, means.venvs / f"{environment.id}.log"
    means.progress.step(f"installing {environment.id}")
    interpreter = runner.install(environment, means.venvs / environment.id)
    means.progress.step(f"looking for buffers in transformers {version}")
    discovery = discover(version, interpreter, means.configs, log)
    asked = chosen(discovery, tuple(gathering.architectures))
    means.progress.step(f"making {len(asked)} architectures of transformers {version} tiny")
    return discovery, tiny(asked, gathering, interpreter, log)
