"""The branch of records, in real git repositories on this disk."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from bot.nightly.history_branch import ForeignFilesError, HistoryBranch
from matrix.errors import USAGE, GitError, OutputError
from tests.support.nightly.git_repository import files, git


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A repository as GitHub keeps it, with a branch of its own code."""
    (path := tmp_path / "remote.git").mkdir()
    git("init", "--quiet", "--bare", "--initial-branch=main", at=path)
    return path


def branch(remote: Path, name: str = "here") -> HistoryBranch:
    return HistoryBranch(str(remote), remote.parent / name / "history")


def keeps(name: str, content: str = "x\n") -> Callable[[Path], list[Path]]:
    def keep(folder: Path) -> list[Path]:
        (file := folder / name).parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode())
        return [file]

    return keep


def test_a_repository_without_the_branch_is_told(remote: Path) -> None:
    assert not branch(remote).fetch()
    assert branch(remote).newest() is None


def test_what_is_added_is_fetched_elsewhere_and_git_is_no_night(remote: Path) -> None:
    assert branch(remote).add(keeps("2026-11-22/a.jsonl.gz", "one\n"), "night")
    assert branch(remote).add(keeps("2026-11-23/b.jsonl.gz"), "night")
    elsewhere = branch(remote, "elsewhere")
    assert elsewhere.fetch()
    assert sorted(path.relative_to(elsewhere.folder).as_posix() for path in elsewhere.folder.glob("*/*")) == [
        "2026-11-22/a.jsonl.gz",
        "2026-11-23/b.jsonl.gz",
    ]
    assert (elsewhere.folder / "2026-11-22/a.jsonl.gz").read_text() == "one\n"
    assert elsewhere.newest() == date(2026, 11, 23)


@pytest.mark.parametrize("attributes", ["* text eol=crlf", "* text=auto", "* ident", "* working-tree-encoding=UTF-16"])
def test_no_attributes_on_the_branch_change_a_record(remote: Path, attributes: str) -> None:
    branch(remote).add(keeps(".gitattributes", f"{attributes}\n"), "attributes")
    record = "one\r\n$Id$\ntwo\n"
    branch(remote).add(keeps("2026-11-22/a.jsonl", record), "night")
    for name in ("here", "elsewhere"):
        (there := branch(remote, name)).fetch()
        assert (there.folder / "2026-11-22/a.jsonl").read_bytes() == record.encode()
    assert git("cat-file", "-s", "history:2026-11-22/a.jsonl", at=remote) == str(len(record))


def test_it_shares_nothing_with_the_code(remote: Path) -> None:
    branch(remote).add(keeps("2026-11-22/a"), "night")
    assert git("rev-list", "--max-parents=0", "--count", "history", at=remote) == "1"
    assert files(remote) == ["2026-11-22/a"]


def test_nothing_new_is_no_commit(remote: Path) -> None:
    branch(remote).add(keeps("2026-11-22/a"), "night")
    assert not branch(remote).add(keeps("2026-11-22/a"), "again")
    assert not branch(remote).add(lambda _folder: [], "nothing")
    assert git("rev-list", "--count", "history", at=remote) == "1"


@pytest.mark.parametrize("first", [True, False])
def test_of_two_writers_neither_loses_anything(remote: Path, *, first: bool) -> None:
    if not first:
        branch(remote).add(keeps("2026-11-21/a"), "before")
    other = branch(remote, "other")
    seen: list[list[str]] = []

    def slow(folder: Path) -> list[Path]:
        if not seen:
            other.add(keeps("2026-11-22/other"), "meanwhile")
        seen.append(sorted(path.name for path in folder.glob("*/*")))
        return keeps("2026-11-22/own")(folder)

    assert branch(remote).add(slow, "night")
    assert seen[1] == [*["a"] * (not first), "other"]
    assert {"2026-11-22/other", "2026-11-22/own"} <= set(files(remote))


def test_a_branch_that_never_takes_anything_ends_with_what_git_said(remote: Path) -> None:
    (hook := remote / "hooks" / "pre-receive").write_text("#!/bin/sh\necho no room >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(GitError, match="no room"):
        branch(remote).add(keeps("2026-11-22/a"), "night")


def test_a_repository_that_is_not_there_is_an_error_and_no_empty_history(tmp_path: Path) -> None:
    with pytest.raises(GitError, match="ls-remote"):
        branch(tmp_path / "none.git").fetch()


def left(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["thesis.txt", "2026-11-22/own.jsonl.gz", ".git/config"])
@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_that_is_no_fetched_history_is_refused_and_left_alone(
    remote: Path, name: str, *, exists: bool
) -> None:
    if exists:
        branch(remote, "other").add(keeps("2026-11-22/a"), "night")
    here = branch(remote)
    keeps(name)(here.folder)
    with pytest.raises(ForeignFilesError, match=f"{Path(name).parts[0]}. Choose a new or empty folder") as raised:
        here.fetch()
    assert raised.value.exit_code == USAGE
    assert left(here.folder.parent) == {f"history/{name}": "x\n"}


@pytest.mark.parametrize("name", ["2026-11-22/own", "2026-11-22/a", "notes/of mine"])
def test_what_was_put_into_a_fetched_history_is_not_lost(remote: Path, name: str) -> None:
    branch(remote, "other").add(keeps("2026-11-22/a"), "night")
    here = branch(remote)
    here.fetch()
    keeps(name, "mine\n")(here.folder)
    with pytest.raises(ForeignFilesError, match=name):
        here.fetch()
    assert left(here.folder) == {"2026-11-22/a": "x\n", name: "mine\n"}


def test_what_only_this_project_leaves_behind_is_nobodys(remote: Path) -> None:
    branch(remote, "other").add(keeps("2026-11-22/a"), "night")
    here = branch(remote)
    keeps(".lock", "")(here.folder)
    for name in ("2026-11-22/b.half", ".lock"):
        here.fetch()
        keeps(name)(here.folder)
        (here.folder / "2026-11-22/a").unlink()  # what is gone cannot be lost
    here.fetch()
    assert left(here.folder) == {"2026-11-22/a": "x\n"}


def test_a_folder_that_cannot_be_one_is_told(remote: Path) -> None:
    (here := branch(remote)).folder.parent.mkdir()
    here.folder.touch()
    with pytest.raises(OutputError, match="cannot write"):
        here.fetch()


def test_folders_that_are_no_nights_are_not_the_newest(remote: Path) -> None:
    branch(remote).add(keeps("2026-11-22/a"), "night")
    branch(remote).add(keeps("zzz/a"), "odd")
    branch(remote).add(keeps("20261130/a"), "odd")
    assert branch(remote).newest() == date(2026, 11, 22)


def test_the_token_is_in_no_command_line(remote: Path) -> None:
    with_token = HistoryBranch("https://127.0.0.1:1/o/r.git", remote.parent / "t", token="ghs_secret")  # noqa: S106
    assert "ghs_secret" not in repr(with_token)
    with pytest.raises(GitError) as raised:
        with_token.fetch()
    assert "ghs_secret" not in str(raised.value)
