"""What may import what, as the layout says; told from the sources, nothing is run."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MATRIX, PROBE = (sorted((ROOT / folder).glob("*.py")) for folder in ("matrix", "matrix/probe"))
BOT = sorted((ROOT / "bot").rglob("*.py"))
MEASURED = {"torch", "transformers", "deepspeed", "safetensors"}
IO = {"io", "os", "pathlib", "shutil", "socket", "sqlite3", "subprocess", "sys", "tempfile", "time", "urllib"}


def imports(file: Path) -> set[str]:
    """The full names of the modules and members that `file` imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(file: Path) -> set[str]:
    """The packages beyond the standard library that `file` imports."""
    return {name.partition(".")[0] for name in imports(file)} - sys.stdlib_module_names


def importers(package: str, *folders: str) -> set[str]:
    below = {"matrix": MATRIX, "matrix/probe": PROBE, "bot": BOT}
    files = [file for folder in folders for file in below[folder]]
    return {file.relative_to(ROOT).as_posix() for file in files if any(
        name == package or name.startswith(f"{package}.") for name in imports(file))}  # fmt: skip


def test_matrix_never_imports_bot() -> None:
    assert not importers("bot", "matrix", "matrix/probe")


@pytest.mark.parametrize("name", ["model", "job", "errors", "environments", "pipconfig"])
def test_what_nox_and_the_probe_import_needs_nothing_installed(name: str) -> None:
    assert packages(ROOT / f"matrix/{name}.py") <= {"matrix"}


def test_the_model_imports_nothing_of_the_project() -> None:
    assert not packages(ROOT / "matrix/model.py")


def test_a_job_imports_only_the_model() -> None:
    ours = {name for name in imports(ROOT / "matrix/job.py") if name.startswith("matrix.")}
    assert all(name.startswith("matrix.model.") for name in ours)


@pytest.mark.parametrize("file", PROBE, ids=lambda file: file.stem)
def test_the_probe_needs_only_what_is_measured(file: Path) -> None:
    assert packages(file) <= {"matrix", *MEASURED}
    ours = {name for name in imports(file) if name.startswith("matrix.")}
    assert all(name.startswith(("matrix.model.", "matrix.job.", "matrix.probe.")) for name in ours)


def test_the_fixed_loader_stands_on_its_own() -> None:
    assert packages(ROOT / "matrix/probe/zero3_buffers.py") <= MEASURED


def test_nothing_of_the_host_imports_what_is_measured_or_the_probe() -> None:
    for package in (*MEASURED, "matrix.probe"):
        assert not importers(package, "matrix", "bot")


SITE_DOORS = {"command", "publish"}
"""The only modules of the site that read or write."""

PURE = [
    *(
        "matrix/advice",
        "matrix/advice_text",
        "matrix/safety",
        "matrix/plan",
        "matrix/compare",
        "matrix/outcome",
        "matrix/comparison_text",
        "matrix/history_text",
        "bot/report",
        "bot/context",
    ),
    *("bot/statements", "bot/evidence", "bot/diff", "bot/patches", "bot/scopes", "bot/model_graph", "bot/planning"),
    *("bot/pull_request", "bot/answer", "bot/rows", "bot/comment_context", "bot/comment_words", "bot/shorten"),
    *(
        "bot/artifacts",
        "bot/planned",
        "bot/consistency",
        "bot/identity",
        "bot/upsert",
        "bot/events",
        "bot/fields",
        "bot/tracking",
    ),
    *("bot/site/links", "bot/site/failures", "bot/site/causes", "bot/site/rules"),
    *("bot/site/badges", "bot/site/feed"),
    *("bot/nightly", "bot/nightly_inputs", "bot/nightly_plan", "bot/nightly_keep", "bot/nightly_words"),
    *("bot/nightly_changes", "bot/nightly_issue"),
    *("matrix/diagnosis", "matrix/check_text", "matrix/wording", "matrix/records", "matrix/job"),
]


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_imports_no_door_to_the_world(name: str) -> None:
    assert not {found.partition(".")[0] for found in imports(ROOT / f"{name}.py")} & IO


@pytest.mark.parametrize(
    ("package", "door"),
    [
        ("subprocess", "matrix/runner.py"),
        ("uv", "matrix/runner.py"),
        ("jinja2", "bot/render.py"),
        ("sqlite3", "matrix/history.py"),
        ("playwright", "bot/browser.py"),
    ],
)
def test_there_is_one_door_to(package: str, door: str) -> None:
    assert importers(package, "matrix", "matrix/probe", "bot") == {door}


GITHUB = {"office", "github", "reading", "patience", "translate", "download", "check_run"}


def test_github_is_behind_one_door() -> None:
    """These make it up; `office` holds the key. The rest of the bot knows no PyGithub object."""
    assert importers("github", "matrix", "bot") == {f"bot/{name}.py" for name in GITHUB}
    assert importers("requests", "bot") <= {"bot/patience.py", "bot/download.py", "bot/pypi.py"}


def test_matrix_speaks_http_in_one_place() -> None:
    assert importers("requests", "matrix", "matrix/probe") == {"matrix/download.py"}
    assert not importers("urllib.request", "matrix", "matrix/probe", "bot")


def test_the_clock_is_behind_one_door() -> None:
    asked = ("datetime.now(", "date.today(", "utcnow(", "time.time(")
    files = [file for file in (*MATRIX, *BOT) if any(call in file.read_text(encoding="utf-8") for call in asked)]
    assert [file.relative_to(ROOT).as_posix() for file in files] == ["matrix/clock.py"]


@pytest.mark.parametrize("file", [*MATRIX, *BOT], ids=lambda file: file.relative_to(ROOT).as_posix())
def test_the_host_starts_no_process_behind_the_runners_back(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert not [call for call in ("os.fork", "os.system", "os.popen", "os.exec", "os.spawn") if call in source]
