"""PURE. The API for programs: `api/v1/`, described by docs/api.schema.json. Names are cut as on the pages.

A new version gets a new folder when a program that reads the old one would have to change; new fields may come at any time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from pydantic import TypeAdapter

from bot.site.data import urls
from bot.site.data.site_index import SiteIndex
from bot.site.data.views import VERDICTS, VerdictEntry
from bot.text import clip, render_json, strip_marks
from matrix.advice.advice_file import PATH, AdviceEnvironment, AdviceFile
from matrix.advice.safety import explain_stock
from matrix.checks import case_keys
from matrix.history.snapshot import Reading
from matrix.model import Check, Configuration, Device, Loader, Precision
from matrix.verdicts import Verdict

VERSION: Final = 1
FOLDER: Final = f"api/v{VERSION}"


@dataclass(frozen=True)
class EnvironmentEntry:
    """An environment and its newest measurement.

    `page` is the path of its page from the root of the site. `measured` is the date of the newest measurement. `stale`
    lists the reasons why that measurement may be out of date.
    """

    id: str
    page: str
    transformers: str
    deepspeed: str
    device: Device
    measured: date
    stale: tuple[str, ...]


@dataclass(frozen=True)
class ArchitectureEntry:
    """An architecture. `page` is the path of its page, `file` that of its file in this API, from the root of the site."""

    id: str
    page: str
    file: str


@dataclass(frozen=True)
class IndexFile:
    """`index.json`: all verdicts, environments and architectures of the site, the newest versions first.

    `schema` is the version of the API. `newest` is the date of the newest nightly run, null before the first one.
    """

    schema: int
    newest: date | None
    verdicts: tuple[VerdictEntry, ...]
    environments: tuple[EnvironmentEntry, ...]
    architectures: tuple[ArchitectureEntry, ...]


@dataclass(frozen=True)
class CaseEntry:
    """A case and its newest measurement.

    `measured` is the date of that measurement, `since` the date since when the verdict is the same. `wrong` is the number
    of wrong tensors. `failures` are the ids of its upstream failures.
    """

    environment: str
    loader: Loader
    check: Check
    precision: Precision
    configuration: Configuration
    verdict: Verdict
    measured: date
    since: date
    wrong: int
    page: str
    failures: tuple[str, ...]


@dataclass(frozen=True)
class FailureEntry:
    """An upstream failure. `id` is the path of its page, `text` describes it, `issues` are addresses of upstream issues."""

    id: str
    verdict: Verdict
    text: str
    issues: tuple[str, ...]


@dataclass(frozen=True)
class ArchitectureFile:
    """`architectures/<architecture>.json`: every case of an architecture, and its upstream failures.

    `schema` is the version of the API. `sites` are its buffer sites.
    """

    schema: int
    id: str
    family: str
    sites: tuple[str, ...]
    cases: tuple[CaseEntry, ...]
    failures: tuple[FailureEntry, ...]


def build_api(site: SiteIndex) -> Iterator[tuple[str, bytes]]:
    """Yields each file of the API, as its path and content."""
    files: dict[str, object] = {
        f"{FOLDER}/index.json": _index(site),
        f"{FOLDER}/schema.json": build_schema(),
        PATH: _advice(site),
        **{_file(name): _architecture(site, name) for name in site.architectures},
    }
    for path, content in files.items():
        yield path, render_json(content).encode()


def build_schema() -> dict[str, Any]:
    """Returns the JSON Schema (2020-12) of all files of the API."""
    document = TypeAdapter(IndexFile | ArchitectureFile | AdviceFile).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **document}


def _file(architecture: str) -> str:
    return f"{FOLDER}/architectures/{urls.slug(architecture)}.json"


def _index(site: SiteIndex) -> IndexFile:
    return IndexFile(
        VERSION,
        site.night,
        VERDICTS,
        tuple(_environment(site, reading) for reading in site.readings),
        tuple(ArchitectureEntry(clip(name), urls.architecture(name), _file(name)) for name in site.architectures),
    )


def _environment(site: SiteIndex, reading: Reading) -> EnvironmentEntry:
    info, link = reading.cell.environment, site.of(reading)
    stale = tuple(map(str, link.stale))
    return EnvironmentEntry(
        link.id, link.page, clip(info.transformers), clip(info.deepspeed), info.device, link.night, stale
    )


def _architecture(site: SiteIndex, name: str) -> ArchitectureFile:
    cases = tuple(case for reading in site.readings for case in _cases(site, reading, name))
    hit = {page for case in cases for page in case.failures}
    failures = (
        FailureEntry(
            urls.finding(one.slug),
            one.verdict,
            strip_marks(one.title),
            tuple(issue for known in one.known for issue in known.issues),
        )
        for one in site.failures
        if urls.finding(one.slug) in hit
    )
    sites = tuple(map(clip, site.sites.get(name, ())))
    return ArchitectureFile(VERSION, clip(name), site.family(name), sites, cases, tuple(failures))


def _cases(site: SiteIndex, reading: Reading, name: str) -> Iterator[CaseEntry]:
    environment = reading.cell.environment.id
    for key in case_keys(name, site.variants):
        if dated := reading.cases.get(key):
            case, failures = dated.case, site.failures_of.get((environment, key), ())
            yield CaseEntry(
                clip(environment),
                key.loader,
                key.check,
                key.precision,
                key.configuration,
                case.verdict,
                dated.night,
                dated.since,
                len(case.findings),
                urls.case(environment, key),
                tuple(failure.page for failure in failures),
            )


def _advice(site: SiteIndex) -> AdviceFile:
    verdicts: dict[str, dict[str, dict[str, Verdict]]] = {clip(name): {} for name in site.architectures}
    for reading in site.readings:
        for key, dated in reading.cases.items():
            cases = verdicts[clip(key.architecture)].setdefault(clip(reading.cell.environment.id), {})
            cases[key.variant.slug] = dated.case.verdict
    known: dict[str, dict[str, tuple[str, ...]]] = {}
    for reading in site.readings:
        for name in reading.keys_of:
            if found := explain_stock(reading, name, site.known):
                ids = tuple(one.id for one in found)
                known.setdefault(clip(name), {})[clip(reading.cell.environment.id)] = ids
    return AdviceFile(1, site.night, tuple(map(_advice_environment, site.readings)), verdicts, known)


def _advice_environment(reading: Reading) -> AdviceEnvironment:
    info = reading.cell.environment
    return AdviceEnvironment(
        clip(info.id),
        clip(info.transformers),
        clip(info.deepspeed),
        clip(info.torch),
        clip(info.accelerate),
        info.device,
        reading.night,
        stale=bool(reading.stale),
        flaky=reading.flaky,
    )
