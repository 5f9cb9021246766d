"""GitHub's own OpenAPI description (tests/support/github/openapi): judges requests and answers, and gives the least that is valid."""

import copy
import json
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from openapi_core import OpenAPI
from openapi_core.exceptions import OpenAPIError
from openapi_core.testing import MockRequest, MockResponse

HERE = Path(__file__).parent / "openapi"
_STRINGS = {"uri": "https://api.github.com/", "date-time": "2026-11-22T12:00:00Z", "email": "bot@example.com"}


@dataclass(frozen=True)
class Request:
    """What came in, its path without host and query."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def values(self) -> dict[str, Any]:
        """The JSON of the body."""
        loaded: dict[str, Any] = json.loads(self.body or b"{}")
        return loaded


@dataclass(frozen=True)
class Answer:
    """What goes out: `content` as JSON, where there is any."""

    status: int
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The content as bytes."""
        return b"" if self.content is None else json.dumps(self.content).encode()


@cache
def description() -> Any:
    """The pruned description as JSON."""
    return json.loads((HERE / "github.json").read_text(encoding="utf-8"))


@cache
def _openapi() -> OpenAPI:
    return OpenAPI.from_dict(description())


@cache
def operations() -> dict[str, re.Pattern[str]]:
    """The path templates of the description, each as a pattern of paths."""
    return {path: re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path) + "$") for path in description()["paths"]}


def template_of(path: str) -> tuple[str, dict[str, str]] | None:
    """The path template that `path` fits, and its parameters."""
    found = ((template, pattern.match(path)) for template, pattern in operations().items())
    return next(((template, match.groupdict()) for template, match in found if match), None)


def violations(request: Request, answer: Answer) -> list[str]:
    """What in the exchange GitHub would never send or take, in words; empty when all is right.

    Statuses that the description leaves out (401, 429, 5xx ...) only need GitHub's form of an error. What is wrong
    with a request is GitHub's to say, with 4xx: it is no violation then.
    """
    asked = MockRequest(
        "http://api",
        request.method,
        request.path,
        args=request.query,
        data=request.body or None,
        content_type="application/json",
    )
    said = MockResponse(answer.body, status_code=answer.status, content_type="application/json")
    try:
        if answer.status < 400:
            _openapi().validate_request(asked)
        if _described(request, answer.status):
            _openapi().validate_response(asked, said)
        elif answer.status >= 300:
            assert answer.status == 304 or "message" in answer.content, "an error without a message"
        else:
            return [f"{request.method} {request.path}: GitHub does not answer {answer.status}"]
    except (OpenAPIError, AssertionError) as error:
        return [f"{request.method} {request.path} -> {answer.status}: {why}" for why in _reasons(error)]
    return []


def _described(request: Request, status: int) -> bool:
    fitting = template_of(request.path)
    operation = description()["paths"].get(fitting[0], {}).get(request.method.lower(), {}) if fitting else {}
    return str(status) in operation.get("responses", {})


def _reasons(error: BaseException) -> list[str]:
    cause = error.__cause__ or error
    return [str(each).splitlines()[0] for each in getattr(cause, "schema_errors", ())] or [repr(cause)]


def sample(schema: str, **values: Any) -> dict[str, Any]:
    """The least valid object of the component `schema`, with `values`."""
    return {**copy.deepcopy(_sample_of(schema)), **values}


@cache
def _sample_of(schema: str) -> Any:
    return _least({"$ref": f"#/components/schemas/{schema}"})


def _least(schema: Any) -> Any:
    if "$ref" in schema:
        return _least(description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if schema.get("nullable"):
        return None
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return _least(schema[several][0])
    kind = schema.get("type", "object")
    if kind == "object":
        return {name: _least(schema["properties"][name]) for name in schema.get("required", ())}
    plain = {"array": [], "integer": 0, "number": 0, "boolean": False}
    return plain[kind] if kind in plain else _STRINGS.get(schema.get("format", ""), "")
