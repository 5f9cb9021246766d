"""A job from its plan to its folders; the probes are stand-ins, started confined as real ones are."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from matrix.checks import CHECKS
from matrix.comparison.compare import Role, compare
from matrix.comparison.measure import JobOptions, find_job, measure_job, select_architectures
from matrix.comparison.outcome import Outcome
from matrix.comparison.plan import ComparisonJob, ComparisonPlan, PlannedRevision, plan_from_json, plan_to_json
from matrix.environments.choose import load_environments, pin_newest
from matrix.errors import BadPlanError, UnknownNameError
from matrix.measure.fingerprint import compute_probe_hash
from matrix.measure.probe_process import Setup
from matrix.measure.tasks import plan_tasks
from matrix.model import Architecture, Cell, Check, Failure, Loader, Precision, Run
from matrix.process import run as runner
from matrix.process.sandbox import Isolation, Sandbox
from matrix.results.read import read_run
from matrix.verdicts import Verdict
from tests.support.stand_in_probe import EVERY_CASE, SilentProgress, StandIn

OLD, NEW = "a" * 40, "b" * 40
KNOWN = load_environments()
NAMES = ("bart:BartModel", "llama:LlamaModel")


def commit(sha: str) -> dict[str, str]:
    return {"transformers": f"git+https://hub.example/transformers@{sha}"}


def older(sha: str) -> dict[str, str]:
    return {**commit(sha), "deepspeed": "0.16.9"}


ONE = (Precision.FLOAT32,)
PAIR = ComparisonJob(
    "pair",
    (
        PlannedRevision(Role.BASE, commit(OLD)),
        PlannedRevision(Role.HEAD, commit(NEW)),
        PlannedRevision(Role.BASE_OTHER, older(OLD)),
        PlannedRevision(Role.HEAD_OTHER, older(NEW)),
    ),
    NAMES,
    checks=(Check("load"),),
    precisions=ONE,
)
PLAN = ComparisonPlan("huggingface/transformers", 7, OLD, NEW, (PAIR,))
LLAMA_IS = "environment(); [case(key, '{}' if 'llama' in key[0] else 'pass', (3, 3)) for key in keys]; end()"


class Machine:
    """Folders with a finished stand-in for every side of a job, so that nothing has to be installed."""

    def __init__(self, folder: Path, sandbox: Sandbox, job: ComparisonJob = PAIR) -> None:
        self.job, self.out, self.logs, self.progress = job, folder / "out", folder / "logs", SilentProgress()
        architectures = tuple(Architecture(name, "other") for name in NAMES)
        self.means = JobOptions(architectures, KNOWN, folder / "venvs", "cpu", sandbox)
        self.sides = {side.role: self._side(side) for side in job.revisions}

    def _side(self, side: PlannedRevision) -> StandIn:
        venv = self.means.venvs / f"{self.job.name}-{side.role}"
        (venv / "bin").mkdir(parents=True)
        environment = pin_newest(side.pins, KNOWN)
        asked = "\n".join((environment.python, *environment.requirements))
        venv.with_name(f"{venv.name}.installed").write_text(asked)
        return StandIn(venv / "bin")

    def run(self) -> dict[str, Cell]:
        """The cell of each role."""
        measure_job(self.job, self.out, self.progress, self.means)
        assert all(file.suffix == ".jsonl" for file in self.out.glob("*/*"))
        return {folder.name: read_run(folder).cells[0] for folder in self.out.iterdir()}

    @property
    def asked(self) -> dict[str, list[list[str]]]:
        return {str(role): stand_in.asked for role, stand_in in self.sides.items()}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, Sandbox(Isolation.NONE))


def verdicts(cell: Cell) -> list[Verdict]:
    return [case.verdict for case in cell.cases]


def test_what_agrees_is_measured_once_on_each_side(machine: Machine) -> None:
    cells = machine.run()
    assert sorted(cells) == ["base", "head"]
    assert all(cell.complete and verdicts(cell) == [Verdict.PASS] * 2 for cell in cells.values())
    assert cells["head"].environment.id.startswith("transformers-git.bbbbbbbbbbbb+deepspeed-0.19.8")


def test_what_regressed_is_rerun_on_both_sides_and_then_with_the_other_packages(machine: Machine) -> None:
    machine.sides[Role.HEAD].acts(LLAMA_IS.format("corrupt"))
    cells = machine.run()
    assert sorted(cells) == ["base", "base-again", "base-other", "head", "head-again", "head-other"]
    assert machine.asked == {
        "base": [["bart", "llama"], ["llama"]],
        "head": [["bart", "llama"], ["llama"]],
        "base-other": [["llama"]],
        "head-other": [["llama"]],
    }
    assert verdicts(cells["head-again"]) == [Verdict.CORRUPT]
    assert "deepspeed-0.16.9" in cells["head-other"].environment.id


def test_what_the_reruns_do_not_confirm_needs_no_other_packages(machine: Machine) -> None:
    once = "environment(); [case(key, 'corrupt' if len(keys) == 2 else 'pass', (3, 3)) for key in keys]; end()"
    machine.sides[Role.HEAD].acts(once.replace("len(keys) == 2", "len(keys) == 2 and 'llama' in key[0]"))
    cells = machine.run()
    assert sorted(cells) == ["base", "base-again", "head", "head-again"]
    assert verdicts(cells["head-again"]) == [Verdict.PASS]


def test_what_is_fixed_is_rerun_but_nobody_is_searched_for(machine: Machine) -> None:
    machine.sides[Role.BASE].acts(LLAMA_IS.format("corrupt"))
    assert sorted(machine.run()) == ["base", "base-again", "head", "head-again"]


def test_a_probe_that_dies_is_told_and_the_other_side_measured(machine: Machine) -> None:
    machine.sides[Role.BASE].acts("environment(); case(keys[0]); sys.exit('::error::forged')")
    machine.sides[Role.HEAD].acts("sys.exit('::error::forged')")
    cells = machine.run()
    assert (verdicts(cells["base"]), cells["base"].complete) == ([Verdict.PASS], False)
    assert isinstance(cells["head"].error, Failure)
    assert cells["head"].error.type == "ProbeDiedError"
    assert not [words for words in machine.progress.steps if "::" in words]
    assert "::error::forged" in next((machine.logs / "pair" / "head").glob("*.log")).read_text()


@pytest.mark.parametrize(
    "forged",
    [
        "print('::add-mask::x', flush=True)",
        "print('[' * 100_000, flush=True)",
        "print('x' * (9 << 20), flush=True)",
        "tell('case', {'architecture': 'llama:LlamaModel', 'verdict': 'splendid'})",
        "tell('end', {'seconds': float('nan')})",
        "tell('failure', 7)",
        "tell('environment', [])",
    ],
)
def test_a_forged_message_ends_its_side_only(machine: Machine, forged: str) -> None:
    machine.sides[Role.HEAD].acts(f"environment(); case(keys[0]); {forged}; end()")
    cells = machine.run()
    assert (len(cells["head"].cases), cells["head"].complete, cells["base"].complete) == (1, False, True)


def test_what_nobody_asked_for_is_ignored(machine: Machine) -> None:
    forged = "tell('comment', 'hi'); tell('progress', 1); case(('bert:BertModel', 'stock', 'load')); case((keys[0][0], 'fixed', 'save'))"
    machine.sides[Role.HEAD].acts(f"environment(); {forged}; [case(key) for key in keys]; end()")
    assert [case.architecture for case in machine.run()["head"].cases] == list(NAMES)


def test_it_goes_on_from_what_is_there(machine: Machine) -> None:
    machine.sides[Role.HEAD].acts("environment(); case(keys[0]); sys.exit(1)")
    machine.run()
    machine.sides[Role.HEAD].acts(EVERY_CASE)
    assert all(cell.complete for cell in machine.run().values())
    assert machine.asked["base"] == [["bart", "llama"]]
    assert machine.asked["head"] == [["bart", "llama"], ["llama"]]


def test_results_of_another_commit_are_moved_out_of_what_is_uploaded(machine: Machine) -> None:
    machine.run()
    stale = machine.out / "head" / "transformers-git.cccccccccccc+cpu.jsonl"
    stale.write_text("{}\n")
    machine.run()
    assert (machine.logs / "pair" / "head" / stale.name).exists()


def test_an_environment_that_cannot_be_installed_is_a_cell_that_says_so(machine: Machine) -> None:
    (machine.means.venvs / "pair-head" / "bin" / "python").unlink()
    cells = machine.run()
    assert cells["head"].error
    assert cells["head"].error.type == "EnvironmentFailedError"
    assert cells["base"].complete


def test_a_reference_is_simply_measured(tmp_path: Path) -> None:
    reference = ComparisonJob(
        "newest", (PlannedRevision(Role.NEWEST, {"transformers": "5.23.0"}),), NAMES, precisions=ONE
    )
    assert list(Machine(tmp_path, Sandbox(Isolation.NONE), reference).run()) == ["newest"]


def project(repository: Path, *files: str) -> dict[str, str]:
    """The pin of a commit of a stand-in for this project, which has these files and a changed model.py."""
    for file in ("matrix/probe/__main__.py", *files):
        (repository / file).parent.mkdir(parents=True, exist_ok=True)
        (repository / file).touch()
    (repository / "matrix" / "model.py").write_text("changed = True")
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for step in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *step], check=True)
    sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return {"zero3-matrix": f"git+{repository.as_uri()}@{sha}"}


ONLY_LOAD = "assert all(key[2] == 'load' for key in keys), keys; " + EVERY_CASE
NEW_FAILS = "environment(); [case(key, 'crash' if key[2] == 'save' else 'pass', (3, 3)) for key in keys]; end()"


@pytest.mark.parametrize(
    ("acts", "outcome"), [(EVERY_CASE, Outcome.UNCHANGED), (NEW_FAILS, Outcome.NEW_BROKEN)], ids=["passes", "fails"]
)
def test_a_check_that_base_does_not_have_is_new_on_head(tmp_path: Path, acts: str, outcome: Outcome) -> None:
    base = project(tmp_path / "base", "matrix/checks/__init__.py", "matrix/checks/load.py")
    head = project(tmp_path / "head", "matrix/checks/load.py", "matrix/checks/save.py")
    sides = (PlannedRevision(Role.BASE, base), PlannedRevision(Role.HEAD, head))
    both = ComparisonJob("change", sides, NAMES, checks=(Check("load"), Check("save")), precisions=ONE)
    machine = Machine(tmp_path, Sandbox(Isolation.NONE), both)
    machine.sides[Role.BASE].acts(ONLY_LOAD)
    machine.sides[Role.HEAD].acts(acts)
    cells = machine.run()
    assert all(cell.complete and not cell.error for cell in cells.values())
    keys = [key for task in plan_tasks(machine.means.architectures, both.axes) for key in task.keys]
    found = compare({Role(role): Run((cell,)) for role, cell in cells.items()}, keys).compared
    assert {(one.key.check, one.outcome) for one in found} == {("load", Outcome.UNCHANGED), ("save", outcome)}
    assert {one.reason.partition(",")[0] for one in found if one.key.check == "save"} == {"base has no such check"}


def test_a_precision_that_base_does_not_have_is_not_taken_for_another(tmp_path: Path) -> None:
    base, head = project(tmp_path / "base"), project(tmp_path / "head")
    sides = (PlannedRevision(Role.BASE, base), PlannedRevision(Role.HEAD, head))
    machine = Machine(tmp_path, Sandbox(Isolation.NONE), ComparisonJob("change", sides, NAMES))
    machine.sides[Role.BASE].acts("assert all(key[3] == 'float32' for key in keys), keys; " + EVERY_CASE)
    cells = machine.run()
    verdicts = {(case.key.precision, case.verdict) for case in cells[Role.BASE].cases}
    assert verdicts == {(Precision.FLOAT32, Verdict.PASS), (Precision.BF16, Verdict.UNSUPPORTED)}


def test_commits_from_before_the_folder_of_checks_have_the_first_two(tmp_path: Path) -> None:
    assert Setup(tmp_path).checks == {"load", "save"}
    assert Setup().checks >= {*CHECKS}


def test_this_projects_own_commits_measure_with_their_own_probe(tmp_path: Path) -> None:
    side = PlannedRevision(Role.NEWEST, project(tmp_path / "project"))
    machine = Machine(tmp_path, Sandbox(Isolation.NONE), ComparisonJob("newest", (side,), NAMES, precisions=ONE))
    model = tmp_path / "model"
    copied = f"Path({str(model)!r}).write_text(Path(os.environ['PYTHONPATH'], 'matrix', 'model.py').read_text())"
    machine.sides[Role.NEWEST].acts(f"{copied}; {EVERY_CASE}")
    cell = machine.run()["newest"]
    assert model.read_text() == "changed = True"
    assert cell.probe != compute_probe_hash()


def test_a_confined_probe_cannot_change_results_environments_or_this_project(tmp_path: Path) -> None:
    kept = (tmp_path / "out", tmp_path / "logs", tmp_path / "venvs")
    for folder in kept:
        folder.mkdir()
    sandbox = runner.find_sandbox(kept)
    if not sandbox.isolation.full:
        pytest.skip(f"this kernel permits no more than {sandbox.isolation}")
    machine = Machine(
        tmp_path, sandbox, ComparisonJob("newest", (PlannedRevision(Role.NEWEST),), NAMES, precisions=ONE)
    )
    attempts = f"""
for folder in {[str(folder) for folder in kept]!r}:
    try:
        Path(folder, "x").touch()
    except OSError as error:
        print(error.strerror, file=sys.stderr)
"""
    machine.sides[Role.NEWEST].acts(attempts + EVERY_CASE)
    machine.sides[Role.NEWEST].keeps_no_notes()
    assert machine.run()["newest"].complete
    (log,) = machine.logs.rglob("*.log")
    assert log.read_text().splitlines() == ["Read-only file system"] * 3


def test_a_plan_comes_back_as_it_was() -> None:
    assert plan_from_json(plan_to_json(PLAN)) == PLAN


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{", "", "JSON"),
        ('"number": 7', '"number": "7"', "number"),
        ('"number": 7', '"number": 7, "more": 1', "missing or unknown names"),
        ('"role": "base"', '"role": "basis"', "role"),
        ('"role": "base"', '"role": "base-again"', "rerun"),
        ('"role": "base-other"', '"role": "base"', "twice"),
        ('"role": "head"', '"role": "newest"', "must have base and head"),
        ('"name": "pair"', '"name": "../pair"', "valid folder name"),
        (f'"head_sha": "{NEW}"', '"head_sha": "main"', "40 hexadecimal"),
        (f"@{NEW}", "@main", "not a pin"),
        ("git+https://", "git+ssh://", "not a pin"),
        ('"deepspeed": "0.16.9"', '"deepspeed": "--index-url=x"', "not a pin"),
        ('"deepspeed": "0.16.9"', '"evil": "0.16.9"', "not a pin"),
        ('"llama:LlamaModel"', '"llama"', "not an architecture"),
        ('["bart:BartModel", "llama:LlamaModel"]', "[]", "measures nothing"),
        ('"loaders": ["stock"]', '"loaders": ["stick"]', "loaders"),
    ],
)
def test_a_bad_plan_is_refused(old: str, new: str, problem: str) -> None:
    text = json.dumps(json.loads(plan_to_json(PLAN)))
    assert old in text
    with pytest.raises(BadPlanError, match=problem):
        plan_from_json(text.replace(old, new))


def test_two_duels_of_one_name_are_refused() -> None:
    with pytest.raises(BadPlanError, match="two jobs have the same name"):
        plan_from_json(plan_to_json(replace(PLAN, jobs=(PAIR, PAIR))))


def test_unknown_names_are_told_with_the_known() -> None:
    with pytest.raises(UnknownNameError, match="choose from pair"):
        find_job(PLAN, "pairs")
    catalog = [Architecture(name, "other") for name in NAMES]
    assert [entry.id for entry in select_architectures(PAIR, catalog, ["llama*"])] == ["llama:LlamaModel"]
    with pytest.raises(UnknownNameError, match="bart:BartModel"):
        select_architectures(PAIR, catalog[1:], [])


def test_a_pinned_safetensors_is_a_requirement_and_no_release() -> None:
    environment = pin_newest({"safetensors": f"git+https://hub.example/s@{OLD}", "accelerate": "1.15.0"}, KNOWN)
    assert f"safetensors @ git+https://hub.example/s@{OLD}#subdirectory=bindings/python" in environment.requirements
    assert "accelerate==1.15.0" in environment.requirements
    assert environment.released.requirements == tuple(n for n in environment.requirements if "safetensors" not in n)


def job(plan: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "matrix", "duel", "--plan", "-", "--out", str(folder / "out"), "--device", "cpu"]
    where = ["--venvs", str(folder / "venvs")]
    return subprocess.run(
        [*command, *where, *arguments], cwd=runner.ROOT, input=plan, capture_output=True, text=True, check=False
    )


def test_the_command_says_what_is_wrong_and_measures_nothing(tmp_path: Path) -> None:
    for plan, arguments, words in (
        ("{}", ["--name", "pair"], "not a valid comparison plan"),
        (plan_to_json(PLAN), ["--name", "piar"], "unknown comparison job 'piar'"),
        (plan_to_json(PLAN), ["--name", "pair", "--sandbox", "on"], "unknown architecture"),
    ):
        done = job(plan, *arguments, folder=tmp_path)
        assert (done.returncode, words in done.stderr, "Traceback" in done.stderr) == (2, True, False), done.stderr


def test_the_command_measures(tmp_path: Path) -> None:
    catalog_name = "llama:LlamaForCausalLM"
    reference = ComparisonJob(
        "newest",
        (PlannedRevision(Role.NEWEST, {"transformers": "5.23.0"}),),
        (catalog_name,),
        checks=(Check("load"),),
        precisions=ONE,
    )
    machine = Machine(tmp_path, Sandbox(Isolation.NONE), reference)
    machine.sides[Role.NEWEST].keeps_no_notes()
    plan = plan_to_json(replace(PLAN, jobs=(reference,)))
    done = job(plan, "--name", "newest", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (cell,) = read_run(tmp_path / "out" / "newest").cells
    assert (cell.complete, [case.loader for case in cell.cases]) == (True, [Loader.STOCK])
    assert json.loads(plan)["duels"][0]["name"] == "newest"
