"""Make `github.json` from GitHub's own OpenAPI description: the operations that the bot uses, and what they refer to.

Run `python tests/support/github/openapi/prune.py` with npm on the PATH after adding an operation or moving to a newer release.
What says nothing about validity (descriptions, examples) is left out, so that openapi-core reads it in a second.
The description is published by octokit/openapi under the MIT licence, see LICENSE next to this file.
"""

import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

PACKAGE = "@octokit/openapi@23.0.2"
MEMBER = "package/generated/api.github.com.json"
HERE = Path(__file__).parent
REPO = "/repos/{owner}/{repo}"
OPERATIONS: dict[str, tuple[str, ...]] = {
    "/app/installations/{installation_id}/access_tokens": ("post",),
    REPO: ("get",),
    f"{REPO}/actions/artifacts/{{artifact_id}}/{{archive_format}}": ("get",),
    f"{REPO}/actions/runs/{{run_id}}": ("get",),
    f"{REPO}/actions/runs/{{run_id}}/artifacts": ("get",),
    f"{REPO}/actions/runs/{{run_id}}/attempts/{{attempt_number}}/jobs": ("get",),
    f"{REPO}/actions/runs/{{run_id}}/rerun": ("post",),
    f"{REPO}/actions/workflows/{{workflow_id}}": ("get",),
    f"{REPO}/actions/workflows/{{workflow_id}}/dispatches": ("post",),
    f"{REPO}/check-runs": ("post",),
    f"{REPO}/check-runs/{{check_run_id}}": ("get", "patch"),
    f"{REPO}/collaborators/{{username}}/permission": ("get",),
    f"{REPO}/commits/{{ref}}": ("get",),
    f"{REPO}/commits/{{ref}}/check-runs": ("get",),
    f"{REPO}/compare/{{basehead}}": ("get",),
    f"{REPO}/issues": ("get", "post"),
    f"{REPO}/issues/comments/{{comment_id}}": ("get", "patch", "delete"),
    f"{REPO}/issues/{{issue_number}}": ("get", "patch"),
    f"{REPO}/issues/{{issue_number}}/comments": ("get", "post"),
    f"{REPO}/pulls": ("get",),
    f"{REPO}/pulls/{{pull_number}}": ("get",),
    f"{REPO}/pulls/{{pull_number}}/files": ("get",),
}
_NAMES = {"properties", "responses", "headers"}
_SILENT = {"description", "example", "examples", "externalDocs", "summary", "tags", "x-github", "x-webhooks"}


def downloaded() -> Any:
    """GitHub's whole description, from the npm package."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            found = archive.extractfile(MEMBER)
            assert found, f"{PACKAGE} has no {MEMBER}"
            return json.load(found)


def quiet(value: Any, *, names: bool = False) -> Any:
    """`value` without what only people read; with `names`, its keys are names that the API uses, not keywords."""
    if isinstance(value, list):
        return [quiet(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("nullable") and "enum" in value:
        value = {**value, "enum": [*value["enum"], None]}  # OpenAPI 3.0 wants the null spelled out
    kept = {key: each for key, each in value.items() if names or key not in _SILENT}
    return {key: quiet(each, names=key in _NAMES and not names) for key, each in kept.items()}


def referred(value: Any, whole: Any, found: dict[str, Any]) -> None:
    """Put everything that `value` refers to, however far, into `found` by its `#/components/...` address."""
    for address in set(re.findall(r'"\$ref": "(#/[^"]+)"', json.dumps(value))) - set(found):
        kind, name = address.split("/")[2:]
        found[address] = quiet(whole["components"][kind][name])
        referred(found[address], whole, found)


def corrected(schemas: dict[str, Any]) -> None:
    """Say what the description forgets: a deleted fork leaves its pull requests and runs without a repository."""
    schemas["nullable-minimal-repository"] = {**schemas["minimal-repository"], "nullable": True}
    schemas["nullable-repository"] = {**schemas["repository"], "nullable": True}
    for pull in ("pull-request", "pull-request-simple"):
        schemas[pull]["properties"]["head"]["properties"]["repo"]["$ref"] = "#/components/schemas/nullable-repository"
    head = schemas["workflow-run"]["properties"]["head_repository"]
    head["$ref"] = "#/components/schemas/nullable-minimal-repository"


def pruned(whole: Any) -> Any:
    """A description of `OPERATIONS` only."""
    paths = {path: {verb: quiet(whole["paths"][path][verb]) for verb in verbs} for path, verbs in OPERATIONS.items()}
    found: dict[str, Any] = {}
    referred(paths, whole, found)
    components: dict[str, dict[str, Any]] = {}
    for address in sorted(found):
        kind, name = address.split("/")[2:]
        components.setdefault(kind, {})[name] = found[address]
    for responses in (
        components.get("responses", {}),
        *(paths[path][verb]["responses"] for path in paths for verb in paths[path]),
    ):
        for response in responses.values():
            if "$ref" not in response:
                response["description"] = ""  # OpenAPI wants one
    corrected(components["schemas"])
    info = {**whole["info"], "description": f"Pruned from {PACKAGE} by prune.py; MIT, see LICENSE."}
    return {
        "openapi": whole["openapi"],
        "info": info,
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": components,
    }


if __name__ == "__main__":
    text = json.dumps(pruned(downloaded()), separators=(",", ":"), ensure_ascii=True)
    (HERE / "github.json").write_text(text + "\n", encoding="utf-8")
