"""Plans as JSON: written by the job of a workflow that decides what is measured, read by the machines that measure it."""

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from matrix.errors import BadPlanError

P = TypeVar("P")


@dataclass(frozen=True)
class PlanFormat(Generic[P]):
    """A kind of plan: its dataclass, its name for people, the command that writes it, and what else is wrong with one."""

    kind: type[P]
    name: str
    command: str
    find_problems: Callable[[P], Iterable[str]]

    @cached_property
    def _adapter(self) -> TypeAdapter[P]:
        return TypeAdapter(self.kind)

    def to_json(self, plan: P) -> str:
        """Returns `plan` as `from_json` reads it."""
        return self._adapter.dump_json(plan, by_alias=True).decode()

    def from_json(self, text: str) -> P:
        """Returns the plan that `to_json` wrote; raises BadPlanError for anything else, missing and unknown names included."""
        try:
            plan = self._adapter.validate_json(text, strict=True)
            same = json.loads(text) == json.loads(self.to_json(plan))
        except ValidationError as error:
            problem = error.errors(include_input=False)[0]
            raise self._error(": ".join(filter(None, [".".join(map(str, problem["loc"])), problem["msg"]]))) from error
        except (ValueError, RecursionError) as error:
            raise self._error("it is not JSON") from error
        problems = self.find_problems(plan) if same else ["it has missing or unknown names"]
        if found := next(iter(problems), None):
            raise self._error(found)
        return plan

    def read(self, file: str) -> P:
        """Returns the plan in `file`, in stdin for `-`; raises BadPlanError."""
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._error(f"cannot read {file} ({getattr(error, 'strerror', None) or error})") from error
        return self.from_json(text)

    def _error(self, problem: str) -> BadPlanError:
        return BadPlanError(self.name, problem, self.command)
