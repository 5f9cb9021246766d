"""What may import what, as the layout says: read from the sources, nothing is run."""

import ast
import functools
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROBE = sorted((ROOT / "matrix/probe").rglob("*.py"))
CHECKS = sorted((ROOT / "matrix/checks").rglob("*.py"))
MATRIX = [file for file in sorted((ROOT / "matrix").rglob("*.py")) if file not in (*PROBE, *CHECKS)]
BOT = sorted((ROOT / "bot").rglob("*.py"))
MEASURED = {"torch", "transformers", "deepspeed", "safetensors"}
IO = {"io", "os", "pathlib", "shutil", "socket", "sqlite3", "subprocess", "sys", "tempfile", "time", "urllib"}


def shown(file: Path) -> str:
    """The name of a file in the ids of tests."""
    return file.relative_to(ROOT).as_posix()


@functools.cache
def imports(file: Path) -> frozenset[str]:
    """The full names of the modules and members that `file` imports anywhere."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def packages(file: Path) -> set[str]:
    """The packages beyond the standard library that `file` imports."""
    return {name.partition(".")[0] for name in imports(file)} - sys.stdlib_module_names


def importers(package: str, *folders: str) -> set[str]:
    below = {"matrix": MATRIX, "matrix/probe": PROBE, "matrix/checks": CHECKS, "bot": BOT}
    files = [file for folder in folders for file in below[folder]]
    return {file.relative_to(ROOT).as_posix() for file in files if any(
        name == package or name.startswith(f"{package}.") for name in imports(file))}  # fmt: skip


def test_matrix_never_imports_bot() -> None:
    assert not importers("bot", "matrix", "matrix/probe", "matrix/checks")


@pytest.mark.parametrize(
    "name",
    [
        "verdicts",
        "model",
        "job",
        "errors",
        "environments/packages",
        "environments/pins",
        "environments/spec",
        "environments/choose",
        "environments/pip_config",
    ],
)
def test_what_nox_and_the_probe_import_needs_nothing_installed(name: str) -> None:
    assert packages(ROOT / f"matrix/{name}.py") <= {"matrix"}


def test_the_model_imports_nothing_of_the_project_but_the_verdicts() -> None:
    assert not packages(ROOT / "matrix/verdicts.py")
    ours = {name for name in imports(ROOT / "matrix/model.py") if name.startswith("matrix.")}
    assert ours == {"matrix.verdicts.Verdict"}


def test_a_job_imports_only_the_model() -> None:
    ours = {name for name in imports(ROOT / "matrix/job.py") if name.startswith("matrix.")}
    assert all(name.startswith(("matrix.model.", "matrix.verdicts.")) for name in ours)


@pytest.mark.parametrize("file", PROBE, ids=shown)
def test_the_probe_needs_only_what_is_measured(file: Path) -> None:
    assert packages(file) <= {"matrix", *MEASURED}
    ours = {name for name in imports(file) if name.startswith("matrix.")}
    below = ("verdicts", "model", "job", "check_protocol", "checks", "saved_names", "probe")
    assert {name.split(".")[1] for name in ours} <= set(below)


@pytest.mark.parametrize("file", CHECKS, ids=shown)
def test_a_check_imports_only_the_model_until_it_runs(file: Path) -> None:
    assert packages(file) <= {"matrix", *MEASURED}
    ours = {name.split(".")[1] for name in imports(file) if name.startswith("matrix.")}
    assert ours <= {"model", "check_protocol", "saved_names"}
    tree = ast.parse(file.read_bytes())
    at_once = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    at_once |= {str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in at_once} <= {"matrix", *sys.stdlib_module_names}


def test_the_fixed_loader_stands_on_its_own() -> None:
    assert packages(ROOT / "matrix/probe/zero3_buffers.py") <= MEASURED


def test_nothing_of_the_host_imports_what_is_measured_or_the_probe() -> None:
    for package in (*MEASURED, "matrix.probe"):
        assert not importers(package, "matrix", "bot")


PURE = [file for file in (*MATRIX, *PROBE, *BOT) if "PURE" in (ast.get_docstring(ast.parse(file.read_bytes())) or "")]
"""The modules that call themselves so."""


def test_modules_call_themselves_pure() -> None:
    assert len(PURE) > 40


@pytest.mark.parametrize("file", PURE, ids=shown)
def test_a_pure_module_imports_no_door_to_the_world(file: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(file)} & IO
    assert not [name for name in imports(file) if name.rpartition(".")[2].startswith(("query_", "fetch_", "open_"))]


DOORS = {
    "subprocess": "matrix/process/run.py",
    "uv": "matrix/environments/install.py",
    "jinja2": "bot/render.py",
    "sqlite3": "matrix/history/database.py",
    "playwright": "bot/dev/browser.py",
}


@pytest.mark.parametrize(("package", "door"), DOORS.items(), ids=DOORS)
def test_there_is_one_door_to(package: str, door: str) -> None:
    assert importers(package, "matrix", "matrix/probe", "bot") == {door}


GITHUB = {"client", "reader", "retries", "convert", "artifact_download"}


def test_github_is_behind_one_door() -> None:
    """These are the client. The rest of the bot knows no PyGithub object."""
    assert importers("github", "matrix", "bot") == {f"bot/github/{name}.py" for name in GITHUB}
    assert importers("requests", "bot") <= {
        "bot/github/retries.py",
        "bot/github/artifact_download.py",
        "bot/nightly/package_index.py",
    }


def test_matrix_speaks_http_in_one_place() -> None:
    assert importers("requests", "matrix", "matrix/probe") == {"matrix/download.py"}
    assert not importers("urllib.request", "matrix", "matrix/probe", "bot")


def test_the_clock_is_behind_one_door() -> None:
    asked = ("datetime.now(", "date.today(", "utcnow(", "time.time(")
    files = [file for file in (*MATRIX, *BOT) if any(call in file.read_text(encoding="utf-8") for call in asked)]
    assert [file.relative_to(ROOT).as_posix() for file in files] == ["matrix/clock.py"]


PRINTERS = {
    "matrix/command_line/output.py",  # the door
    "bot/github/actions.py",  # the log of a CI job, which makes text harmless in its own way
    *("matrix/__main__.py", "bot/__main__.py", "bot/zero3.py"),  # before anything can be imported
    *("bot/dev/advisories.py", "bot/dev/planned_year.py"),
    "matrix/environments/interpreter.py",  # a program for the measured interpreter
}


def test_nothing_is_printed_past_the_door_that_makes_it_harmless() -> None:
    prints = re.compile(r"\b(typer\.echo|typer\.secho|click\.echo|sys\.std(out|err)\.write)\(|(?<![.\w])print\(")
    found = {shown(file) for file in (*MATRIX, *BOT) if prints.search(file.read_text(encoding="utf-8"))}
    assert found <= PRINTERS


def test_contributors_are_shown_every_door() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert not [door for door in (*DOORS.values(), "matrix/download.py", "matrix/clock.py") if f"`{door}`" not in text]


SCRIPTS = [ROOT / f"matrix/process/{name}.py" for name in ("supervisor", "verify")]
"""Scripts that the door to subprocesses starts processes with."""


@pytest.mark.parametrize("file", [file for file in (*MATRIX, *BOT) if file not in SCRIPTS], ids=shown)
def test_the_host_starts_no_process_behind_the_runners_back(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert not [call for call in ("os.fork", "os.system", "os.popen", "os.exec", "os.spawn") if call in source]


PLUG_INS = {"matrix/checks", "bot/site/pages"}
"""Folders that may grow: each module in them is one more of the same."""
FOLDERS = sorted({file.parent.relative_to(ROOT).as_posix() for top in ("matrix", "bot", "tests") for file in
    (ROOT / top).rglob("*.py") if "odd_models" not in file.parts and "actions" not in file.parts})  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_is_small_and_says_what_it_is(folder: str) -> None:
    modules = {file.name for file in (ROOT / folder).glob("*.py")} - {"__init__.py", "__main__.py", "conftest.py"}
    assert len(modules) <= 12 or folder in PLUG_INS
    subject = ROOT / folder / "__init__.py"
    assert folder.startswith("tests") or ast.get_docstring(ast.parse(subject.read_bytes()))


def test_no_two_public_classes_have_the_same_name() -> None:
    """So that a name in a message, a search or an import means one thing."""
    places: dict[str, list[str]] = {}
    for file in (*MATRIX, *CHECKS, *PROBE, *BOT):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(shown(file))
    assert not {name: files for name, files in places.items() if len(files) > 1}


TESTS = sorted((ROOT / "tests").rglob("*.py"))
MIRRORS = sorted(file.parent.relative_to(ROOT / "tests").as_posix() for top in ("matrix", "bot", "probe") for file in
    (ROOT / "tests" / top).rglob("__init__.py"))  # fmt: skip


@pytest.mark.parametrize("file", TESTS, ids=shown)
def test_no_test_module_is_imported(file: Path) -> None:
    """What several of them need is in tests/support."""
    assert not [name for name in imports(file) if name.startswith("tests.") and ".test_" in name]


@pytest.mark.parametrize("mirror", MIRRORS)
def test_a_folder_of_tests_has_the_name_of_what_it_tests(mirror: str) -> None:
    tested = ROOT / (f"matrix/{mirror}" if mirror.startswith("probe") else mirror)
    assert tested.is_dir() or tested.with_suffix(".py").is_file()


def member(folder: str, name: str) -> str | None:
    """Which module or folder directly in `folder` the imported `name` belongs to; None for what is elsewhere."""
    prefix = folder.replace("/", ".") + "."
    first = name.removeprefix(prefix).partition(".")[0] if name.startswith(prefix) else ""
    inside = ROOT / folder / first
    return first if first and (inside.is_dir() or inside.with_suffix(".py").exists()) else None


@pytest.mark.parametrize("folder", [folder for folder in FOLDERS if not folder.startswith("tests")])
def test_imports_go_down_only(folder: str) -> None:
    """The members of every folder have an order in which none imports a later one; a cycle raises CycleError."""
    arrows: dict[str, set[str]] = {}
    for file in (ROOT / folder).rglob("*.py"):
        importer = file.relative_to(ROOT / folder).with_suffix("").parts[0]
        found = {member(folder, name) for name in imports(file)} - {importer, None}
        arrows.setdefault(importer, set()).update(str(name) for name in found)
    TopologicalSorter(arrows).prepare()
