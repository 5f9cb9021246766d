# /// script
# dependencies = ["nox[uv]>=2025.10.14"]
# ///
"""What this project does, as sessions: `nox -l` lists them."""

import os
import re
import sys
from pathlib import Path

import nox
from nox.command import CommandFailed
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT))  # the nox command does not look for modules next to the noxfile

from matrix.environments.choose import find_environment, load_environments, read_named_environment  # noqa: E402
from matrix.environments.pip_config import build_uv_variables  # noqa: E402
from matrix.environments.spec import Environment  # noqa: E402
from matrix.errors import MatrixError  # noqa: E402

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"


def report_error(error: MatrixError) -> int:
    """Prints what is wrong and returns the exit code."""
    sys.stderr.write(f"error: {error}\n")
    return error.exit_code


RESULTS = os.environ.get("ZERO3_RESULTS", "results")
try:
    KNOWN = load_environments()
    NAMED = read_named_environment(os.environ, KNOWN)
except MatrixError as error:
    sys.exit(report_error(error))
CHOSEN = (NAMED,) if NAMED else tuple(e for e in KNOWN if "default" in e.sets)
ASKED = re.findall(r"zero3_matrix\(([^()]+)\)", " ".join(sys.argv[1:]))
"""Environment ids on the command line. Any id is a session, also of versions that no set crosses."""


def host_python(session: nox.Session) -> str:
    """Returns the interpreter of the session `host`, in which this project is installed."""
    return str(Path(session.cache_dir).parent / "host" / "bin" / "python")


@nox.session(default=False)
def host(session: nox.Session) -> None:
    """Install the command `zero3` in .nox/host, from these sources, apart from every measured environment."""
    session.env.update(build_uv_variables(os.environ))
    session.install("--editable", ".", silent=True)


@nox.session(venv_backend="none", requires=["host"])
def zero3_matrix(session: nox.Session) -> None:
    """Measure the default set of environments, or the one ZERO3_TRANSFORMERS, ZERO3_DEEPSPEED ... name; then report.

    Without GPUs that is at least one architecture for each buffer site; `-- --catalog full` measures every one.
    """
    for environment in CHOSEN:
        session.notify(f"zero3_matrix({environment.id})", session.posargs)
    session.notify("report", [])


def supported_python(environment: Environment) -> str | None:
    """The interpreter to measure with: this one where it will do, else the newest that old wheels exist for."""
    here = ".".join(map(str, sys.version_info[:3]))
    return None if here in SpecifierSet(environment.python) else "3.12"


def cell_session(environment_id: str, environment: Environment) -> None:
    """Register the session that measures one environment in its own virtual environment."""

    @nox.session(
        name=f"zero3_matrix({environment_id})",
        python=supported_python(environment),
        tags=[*environment.sets],
        default=False,
        requires=["host"],
    )
    def cell(session: nox.Session) -> None:
        """Measure one environment."""
        command = (host_python(session), "-m", "matrix", "run", "--resume", "--out", RESULTS)
        where = ["--environment", environment.id, "--venv", session.virtualenv.location]
        device = re.search(r"\+(cpu|cuda)$", environment_id)
        where += ["--device", device[1]] if device else []
        session.notify("report", [])  # also after an environment that could not be measured
        # Wrong values are a result; only an environment that could not be measured fails the session.
        # After Ctrl-C the command needs a moment to end every rank.
        session.run(*command, *where, *session.posargs, external=True, success_codes=[0, 1], interrupt_timeout=30)


try:
    SESSIONS = {e.id: e for e in (*KNOWN, *CHOSEN)} | {
        asked: find_environment(asked, (*KNOWN, *CHOSEN)) for asked in ASKED
    }
except MatrixError as error:
    sys.exit(report_error(error))
for session_id, pins in SESSIONS.items():
    cell_session(session_id, pins)


@nox.session(venv_backend="none", default=False, requires=["host"])
def report(session: nox.Session) -> None:
    """Render report.html and report.md from the results, and print the summary."""
    session.run(host_python(session), "-m", "bot", "report", RESULTS, *session.posargs, external=True)


@nox.session(venv_backend="none", default=False, requires=["host"])
def catalog(session: nox.Session) -> None:
    """Discover each version's architectures with buffers or a float32 list, write catalog.lock.json, name releases."""
    venvs = ("--venvs", str(Path(session.cache_dir).parent / "catalog"))
    session.run(host_python(session), "-m", "matrix", "catalog", *venvs, *session.posargs, external=True)


def reaches_goals(session: nox.Session, *command: str) -> bool:
    """Run a benchmark to its end: a goal that it misses keeps no other from being measured."""
    try:
        session.run(host_python(session), "-m", *command, external=True)
    except CommandFailed:
        return False
    return True


@nox.session(python=supported_python(KNOWN[0]), default=False, requires=["host"])
def bench(session: nox.Session) -> None:
    """Measure how fast a cell is in the newest environment, against the goals; `-- --default-set` measures that too.

    After that it measures how fast the dashboard of a planned year is built.
    """
    where = ["--venv", session.virtualenv.location, "--out", "bench"]
    commands = (("matrix", "bench", *where, *session.posargs), ("bot.dev.planned_year",))
    if failed := [command[0] for command in commands if not reaches_goals(session, *command)]:
        session.error(f"a goal was missed, or nothing measured: {', '.join(failed)}")


@nox.session(default=False)
def screenshots(session: nox.Session) -> None:
    """Take the README's pictures of the dashboard, built from the records in tests/data; needs a Chromium."""
    session.env.update(build_uv_variables(os.environ))
    session.install("-r", "pyproject.toml", "--group", "browser", silent=True)
    made = Path(session.create_tmp())
    site, database = str(made / "site"), str(made / "history.sqlite")
    where = ["--history", "tests/data/site/history", "--database", database, "--out", site]
    session.run("python", "-m", "bot", "dashboard", *where)
    session.run("python", "-m", "bot.dev.screenshots", site, "docs", *session.posargs)


SCHEMAS = {
    "github-workflows": ".github/workflows/*",
    "dependabot": ".github/dependabot.yml",
    "github-issue-forms": ".github/ISSUE_TEMPLATE/[!c]*.yml",  # all but config.yml
    "github-issue-config": ".github/ISSUE_TEMPLATE/config.yml",
    "citation-file-format": "CITATION.cff",
}


@nox.session(default=False)
def lint(session: nox.Session) -> None:
    """Check style, types, and the workflows."""
    session.env.update(build_uv_variables(os.environ))
    session.install("-r", "pyproject.toml", "--group", "lint", silent=True)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("zizmor", "--quiet", "--offline", "--persona", "auditor", ".github")
    for schema, files in SCHEMAS.items():
        found = map(str, sorted(ROOT.glob(files)))
        session.run("check-jsonschema", "--force-filetype", "yaml", "--builtin-schema", f"vendor.{schema}", *found)
    session.run("shellcheck", ".ci/browser", ".ci/python", ".ci/run")


SIDE_BY_SIDE = ("-n", str(2 + (os.cpu_count() or 1)), "--dist", "loadfile", "--no-loadscope-reorder")
"""Two processes more than there are processors: ranks wait for each other, so tests of models use half of one each.

Tests of a file share what it sets up.
"""


def run_tests(session: nox.Session, mark: str) -> None:
    """Run the tests with that mark; all of them one after the other where posargs name files, which takes no start-up."""
    session.env.update(build_uv_variables(os.environ))
    session.install("-r", "pyproject.toml", "--group", "test", silent=True)
    named = any("tests/" in argument and not argument.startswith("-") for argument in session.posargs)
    chosen = () if named else (*SIDE_BY_SIDE, "-m", mark)
    session.run("python", "-m", "pytest", *chosen, *session.posargs)


@nox.session(default=False)
def tests(session: nox.Session) -> None:
    """Run the tests but the slow ones, or those that posargs name; the first run installs the measured environments."""
    run_tests(session, "not slow and not chaos")


@nox.session(default=False)
def tests_slow(session: nox.Session) -> None:
    """Run the tests that take minutes each: variants of what `tests` runs."""
    run_tests(session, "slow")


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Kill parts of measurements at random moments, sixty times; `-- --kills 7` takes the first seven."""
    session.env.update(build_uv_variables(os.environ))
    session.install("-r", "pyproject.toml", "--group", "test", silent=True)
    session.run("python", "-m", "pytest", "-m", "chaos", *session.posargs)


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Look up public advisories of the packages that workflows install by hash; says so where nobody answers."""
    session.env.update(build_uv_variables(os.environ))
    session.install("pip-audit", silent=True)
    report = Path(session.create_tmp()) / "advisories.json"
    report.unlink(missing_ok=True)
    requirements = ("--requirement", ".ci/requirements.txt", "--require-hashes", "--disable-pip")
    shown = ("--format", "json", "--output", str(report), "--progress-spinner", "off")
    # It ends with 1 for a vulnerability and for a service that does not answer: report and output tell them apart.
    lookup = ("pip-audit", "--vulnerability-service", "osv", *requirements, *shown)
    (said := report.with_name("output.txt")).write_text(str(session.run(*lookup, silent=True, success_codes=[0, 1])))
    session.run("python", "-m", "bot.dev.advisories", str(report), str(said))
