"""A stand-in for a measured interpreter: it says what a probe would say, so that the host's own faults show at once."""

import json
import os
import select
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from string import Template

from matrix.checks import Axes
from matrix.measure.request import Request
from matrix.measure.tasks import plan_tasks
from matrix.model import Architecture, Case, Check, Loader, Precision
from tests.support.runs import info

EVERY_CASE = "environment(); [case(key) for key in keys]; end()"

_SCRIPT = Template("""#!$python
import json, os, signal, sys
from pathlib import Path

if sys.argv[1] == "-c":
    print('$versions')
    sys.exit()
job = json.loads(Path(sys.argv[-1]).read_text())
keys = [(task["architecture"], task["loader"], check, task["precision"], task["configuration"])
        for task in job["tasks"] for check in task["checks"]]
with Path("$asked").open("a") as asked:
    asked.write(json.dumps(keys) + "\\n")

def tell(kind, values):
    print(json.dumps({kind: values}), flush=True)

def environment():
    tell("environment", json.loads('$info'))

def case(key, verdict="pass", confirmed=(1, 1)):
    architecture, loader, check, *training = key
    precision, configuration = training or ("float32", "plain")
    tell("case", {"architecture": architecture, "loader": loader, "check": check, "verdict": verdict,
                  "precision": precision, "configuration": configuration,
                  "confirmed": confirmed})

def end():
    tell("end", {"seconds": 1.0})

$body
""")


class StandIn:
    """An executable file that is asked like a Python with torch, transformers and deepspeed; `body` is its probe."""

    def __init__(self, folder: Path, body: str = EVERY_CASE) -> None:
        self.path = folder / "python"
        self._asked = folder / "asked"
        self.acts(body)

    def acts(self, body: str) -> None:
        """Makes `body` what the probe does from now on."""
        measured = info()
        versions = {"python": "3.11.9", "transformers": measured.transformers, "deepspeed": measured.deepspeed}
        versions |= {"torch": "2.13.0+cpu", "accelerate": measured.accelerate}
        values = {"info": json.dumps(asdict(measured)), "versions": json.dumps(versions), "asked": str(self._asked)}
        self.path.write_text(_SCRIPT.substitute(values, python=sys.executable, body=body))
        self.path.chmod(0o755)

    def keeps_no_notes(self) -> None:
        """It writes nothing, as where it is confined."""
        self.path.write_text(self.path.read_text().replace(str(self._asked), os.devnull))

    @property
    def asked(self) -> list[list[str]]:
        """The model types that each job so far asked for, a name per case."""
        lines = self._asked.read_text().splitlines() if self._asked.exists() else []
        return [[key[0].partition(":")[0] for key in json.loads(line)] for line in lines]


def processes(marker: str) -> dict[int, str]:
    """The command lines of the living processes that have `marker` in their environment, by process id."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marked = marker.encode() in (folder / "environ").read_bytes()
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if marked and command and int(folder.name) != os.getpid():
            found[int(folder.name)] = command
    return found


def all_end(pids: Iterable[int]) -> bool:
    """Whether every process ends soon after it was killed."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ended = select.select([handle], [], [], 20)[0]
        os.close(handle)
        if not ended:
            return False
    return True


class SilentProgress:
    """Progress that shows nothing and remembers the words of its steps."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def begin(self, environment: str, cases: int) -> None:
        self.steps.append(f"{environment}: {cases} cases")

    def step(self, words: str) -> None:
        self.steps.append(words)

    def case(self, case: Case) -> None:
        pass


def load_request(folder: Path, stand_in: StandIn, *names: str) -> Request:
    """Returns a request to load these architectures with the stand-in, into `folder`."""
    architectures = tuple(Architecture(f"{name}:Model", "other") for name in names)
    tasks = plan_tasks(architectures, Axes((Loader.STOCK,), (Check("load"),), (Precision.FLOAT32,)))
    return Request(folder / "out", tasks, interpreter=stand_in.path, device="cpu", catalog="sha256:1")
