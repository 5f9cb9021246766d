"""The steps of a nightly run: fetching what is new, reading the history, and storing what was measured."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
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
from matrix.environments.choose import load_axes
from matrix.environments.packages import CROSSED, PACKAGES, TIPS
from matrix.errors import INFRASTRUCTURE, MatrixError
from matrix.history.archive import has_cell, merge, store
from matrix.history.attempts import query_attempts, read_duration
from matrix.history.build import build_database
from matrix.history.database import History, open_database
from matrix.history.files import CellState, default_database
from matrix.measure.fingerprint import compute_probe_hash
from matrix.measure.tasks import plan_tasks
from matrix.model import CaseKey
from matrix.nightly.plan import NightlyPlan
from matrix.process.temporary import temporary_folder
from matrix.results.write import append

_Answer = TypeVar("_Answer")
RECORDS: Final = Path(".zero3/history")


class NoRecordsError(MatrixError):
    """There are no records to show yet."""

    exit_code = INFRASTRUCTURE

    def __init__(self, branch: HistoryBranch) -> None:
        super().__init__(
            f"{branch.address} has no branch {branch.name}: run the workflow `nightly` first, which creates it"
        )


def history_branch(context: JobContext, folder: Path = RECORDS) -> HistoryBranch:
    """Returns the branch with the records of this project; commits are by whoever the job's token belongs to."""
    address = f"{context.server_url}/{context.project}.git"
    return HistoryBranch(address, folder, token=context.token, author=context.login or "github-actions[bot]")


def fetch_news(github: GitHub) -> News:
    """Fetches what is new upstream. Whatever does not answer is a problem of the result, and does not stop the run."""
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


def list_cases() -> frozenset[CaseKey]:
    """Returns the cases of every cell of a nightly run: the whole catalog, measured in all ways."""
    tasks = plan_tasks(load_catalog(), load_axes("nightly"))
    return frozenset(key for task in tasks for key in task.keys)


def build_request(context: JobContext, settings: Settings, moment: datetime) -> NightlyRequest:
    """Returns what is asked of the run that begins at `moment` (UTC)."""
    nightly = settings.nightly
    cases = len(list_cases())
    digests = Digests(catalog_hash(), compute_probe_hash())
    globs = tuple(context.ids.split())
    return NightlyRequest(moment, nightly.device, digests, cases, nightly.shards, nightly.oldest, globs, context.force)


@contextmanager
def open_history(records: Path) -> Iterator[History]:
    """Builds the database of the folder `records`, next to it, and opens it. Raises what building raises."""
    database = default_database(records)
    build_database(records, database)
    with open_database(database) as history:
        yield history


def read_past_runs(records: Path) -> PastRuns:
    """Returns what the record files in a folder have; nothing where there are none."""
    with open_history(records) as history:
        known = query_attempts(history)
    complete = {
        name: next((one for one in tried if one.state is CellState.COMPLETE), None) for name, tried in known.items()
    }
    return PastRuns(known, {name: read_duration(records, one) for name, one in complete.items() if one})


def download_archives(github: GitHub, context: JobContext, plan: NightlyPlan) -> dict[str, bytes | str]:
    """Downloads the archive of each shard of this workflow run; one that cannot be is the reason as text.

    Raises GitHubError when the artifacts cannot be listed.
    """

    def archive(artifact: ArtifactInfo) -> bytes | str:
        try:
            return github.download_artifact(context.repository, artifact.id, LIMITS.archive)
        except GitHubError as error:
            return f"could not download its results: {error}"

    uploaded = find_newest_artifacts(github.list_artifacts(context.repository, context.run), plan)
    return {shard: archive(artifact) for shard, artifact in uploaded.items()}


def store_records(plan: NightlyPlan, found: CollectedFiles, label: str, history: Path) -> tuple[Path, ...]:
    """Adds a nightly run to a history and returns where each file of it is; changes nothing that is there.

    A cell of which nothing was measured gets a record without cases, so that its absence is seen. `label` tells this
    attempt from others of the same day. Raises the classes of `matrix.history.archive`.
    """
    with temporary_folder("night") as run:
        for believed, content in found.believed.items():
            (run / f"{believed}.jsonl").write_bytes(content)
        for cell in plan.cells:
            if plan.name(cell) not in found.believed and not has_cell(history, plan.night, plan.name(cell)):
                with append(run / f"{plan.name(cell)}.jsonl") as writer:
                    writer.header(plan.unmeasured(cell))
        kept = merge(run, history, plan.night, label) if any(run.iterdir()) else ()
    refused = [
        _store_rejected(history, plan.night, f"{cell}.{label}", content) for cell, content in found.rejected.items()
    ]
    return (*kept, *refused)


def _store_rejected(history: Path, night: date, name: str, content: bytes) -> Path:
    """Stores a file that is not believed, unchanged, under a name that no reader of the history takes for records."""
    place = history / night.isoformat() / f"{name}.jsonl.refused"
    store(place, content)
    return place
