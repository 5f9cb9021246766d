"""A night's steps: asking what is new, reading the history, and keeping what was measured in it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from bot.github.actions import JobContext
from bot.github.client import GitHub
from bot.github.errors import GitHubError
from bot.github.types import ArtifactInfo
from bot.nightly.candidates import News
from bot.nightly.collect import LIMITS, CollectedFiles, find_newest_artifacts
from bot.nightly.history_branch import HistoryBranch
from bot.nightly.input_changes import Digests
from bot.nightly.package_index import PackageIndexError, fetch_releases
from bot.nightly.plan import NightlyRequest, PastRuns
from bot.settings import Settings
from matrix.catalog.catalog import catalog_hash, load_catalog
from matrix.checks import CHECKS
from matrix.environments.packages import CROSSED, PACKAGES, TIPS
from matrix.errors import INFRASTRUCTURE, MatrixError, OutputError
from matrix.history.archive import has_cell, merge, publish
from matrix.history.attempts import query_attempts, read_duration
from matrix.history.build import build_database
from matrix.history.database import History, open_database
from matrix.history.files import HALF, State, default_database
from matrix.measure.fingerprint import probe_hash
from matrix.model import Loader
from matrix.nightly.plan import NightlyPlan
from matrix.results.write import append

_Answer = TypeVar("_Answer")
RECORDS: Final = Path(".zero3/history")


class NoRecordsError(MatrixError):
    """There are no records to show yet."""

    exit_code = INFRASTRUCTURE

    def __init__(self, branch: HistoryBranch) -> None:
        super().__init__(f"{branch.address} has no branch {branch.name}: run the workflow `nightly` first, it makes it")


def history_branch(context: JobContext, folder: Path = RECORDS) -> HistoryBranch:
    """The branch with the records of this project; written by whoever the job's token is."""
    address = f"{context.server_url}/{context.project}.git"
    return HistoryBranch(address, folder, token=context.token, author=context.login or "github-actions[bot]")


def fetch_news(github: GitHub) -> News:
    """What is new upstream. Whatever does not answer is told, and does not stop the night."""
    problems: list[str] = []

    def answered(question: Callable[[str], _Answer], about: str) -> list[_Answer]:
        try:
            return [question(about)]
        except (GitHubError, PackageIndexError) as error:
            problems.append(str(error))
            return []

    found = {package: versions for package in CROSSED for versions in answered(fetch_releases, package)}
    tips = {package: tip for package in TIPS for tip in answered(github.fetch_tip, PACKAGES[package].repository)}
    return News(found, tips, tuple(problems))


def build_request(context: JobContext, settings: Settings, moment: datetime) -> NightlyRequest:
    """What is wanted of the night that begins at `moment`, in UTC: the whole catalog, both loaders, both checks."""
    nightly = settings.nightly
    cases = len(load_catalog()) * len(Loader) * len(CHECKS)
    digests = Digests(catalog_hash(), probe_hash())
    globs = tuple(context.ids.split())
    return NightlyRequest(moment, nightly.device, digests, cases, nightly.shards, nightly.oldest, globs, context.force)


@contextmanager
def open_history(records: Path) -> Iterator[History]:
    """The history of the folder `records`, to be asked; the database lies beside it. Raises what building raises."""
    database = default_database(records)
    build_database(records, database)
    with open_database(database) as history:
        yield history


def read_past_runs(records: Path) -> PastRuns:
    """What the record files in a folder know; nothing where there are none."""
    with open_history(records) as history:
        known = query_attempts(history)
    complete = {
        name: next((one for one in tried if one.state is State.COMPLETE), None) for name, tried in known.items()
    }
    return PastRuns(known, {name: read_duration(records, one) for name, one in complete.items() if one})


def download_archives(github: GitHub, context: JobContext, plan: NightlyPlan) -> dict[str, bytes | str]:
    """The archive of each shard of this workflow run, or why there is none; raises GitHubError when none can be listed."""

    def archive(artifact: ArtifactInfo) -> bytes | str:
        try:
            return github.download_artifact(context.repository, artifact.id, LIMITS.archive)
        except GitHubError as error:
            return f"its results cannot be downloaded: {error}"

    uploaded = find_newest_artifacts(github.list_artifacts(context.repository, context.run), plan)
    return {shard: archive(artifact) for shard, artifact in uploaded.items()}


def store_records(plan: NightlyPlan, found: CollectedFiles, label: str, history: Path) -> tuple[Path, ...]:
    """Put a night into a history and return where each file of it is kept; nothing that is there is changed.

    A cell that nothing was measured of gets a record without cases, so that its absence is seen. `label` tells this run
    from others of the same night. Raises the classes of `matrix.history.archive`.
    """
    with TemporaryDirectory(prefix="zero3-night-") as name:
        run = Path(name)
        for believed, content in found.believed.items():
            (run / f"{believed}.jsonl").write_bytes(content)
        for cell in plan.cells:
            if plan.name(cell) not in found.believed and not has_cell(history, plan.night, plan.name(cell)):
                with append(run / f"{plan.name(cell)}.jsonl") as writer:
                    writer.header(plan.unmeasured(cell))
        kept = merge(run, history, plan.night, label) if any(run.iterdir()) else ()
    refused = [_refused(history, plan.night, f"{cell}.{label}", content) for cell, content in found.refused.items()]
    return (*kept, *refused)


def _refused(history: Path, night: date, name: str, content: bytes) -> Path:
    """Keep a file that nobody may believe, as it is, under a name that no reader of the history takes for records."""
    place = history / night.isoformat() / f"{name}.jsonl.refused"
    half = place.with_name(f"{place.name}{HALF}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(content)
        publish(half, place)
    except OSError as error:
        raise OutputError(place, error) from error
    return place
