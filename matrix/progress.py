"""Shows on stderr how measuring goes: a bar on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from matrix.errors import CancelledError
from matrix.model import Case, CaseKey
from matrix.text import make_printable
from matrix.verdicts import Verdict


class TerminalProgress(AbstractContextManager["TerminalProgress"]):
    """Shows how far a cell is; implements `matrix.measure.request.Progress`."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=self.console, disable=not self.console.is_terminal, transient=True)
        self.task: TaskID = self.bar.add_task("", total=None)
        self.cases = 0
        self.decided: set[CaseKey] = set()
        self.environment = ""

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bar.stop()

    def begin(self, environment: str, cases: int) -> None:
        """Shows that a cell begins, or goes on, with so many cases to decide."""
        self.environment, self.cases, self.decided = environment, cases, set()
        self.bar.update(self.task, total=cases, completed=0)
        self.console.print(make_printable(environment), style="bold", end="", markup=False)
        self.console.print(f": {cases} cases to measure")

    def step(self, words: str) -> None:
        """Shows what is being prepared."""
        self.bar.update(self.task, description=escape(make_printable(words)))
        if not self.console.is_terminal:
            self.console.print(make_printable(f"{self.environment} {words}".strip()), markup=False)

    def case(self, case: Case) -> None:
        """Shows a case that was decided, or confirmed by a rerun."""
        again = case.key in self.decided
        self.decided.add(case.key)
        self.bar.update(
            self.task,
            completed=len(self.decided),
            description=escape(make_printable(f"{case.architecture} {case.loader}")),
        )
        words = f"confirmed {case.confirmed[0]} of {case.confirmed[1]}" if again else str(case.check)
        counted = f"{len(self.decided)}/{self.cases}"
        if not self.console.is_terminal or case.verdict is not Verdict.PASS:
            said = make_printable(f"{counted:>9} {case.architecture} {case.loader} {words}:")
            self.console.print(said, end=" ", markup=False)
            self.console.print(str(case.verdict), style=case.verdict.row.style)


@contextmanager
def show_progress() -> Iterator[TerminalProgress]:
    """Yields the progress of what a command measures; Ctrl-C becomes CancelledError."""
    try:
        with TerminalProgress() as progress:
            yield progress
    except KeyboardInterrupt:
        raise CancelledError from None
