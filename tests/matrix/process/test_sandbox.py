"""Untrusted processes, really started: what they see, what they may do, and what is left of them."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from matrix.environments.pip_config import build_uv_variables
from matrix.errors import EnvironmentFailedError, SandboxError
from matrix.process import run as runner
from matrix.process.sandbox import Isolation, Sandbox, detect_sandbox, neutralize
from matrix.process.variables import filter_variables
from tests.support.stand_in_probe import all_end

TELL = """
import json, os, resource
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
limits = [resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in ("CORE", "FSIZE", "NOFILE")]
print(json.dumps({"variables": dict(os.environ), "status": status, "limits": limits, "cwd": os.getcwd(),
                  "uid": os.getuid(), "processes": [int(name) for name in os.listdir("/proc") if name.isdecimal()]}))
"""
CONNECT = "import socket, sys; socket.create_connection(('127.0.0.1', int(sys.argv[1])), timeout=5)"


@pytest.fixture
def isolated(sandbox: Sandbox) -> Sandbox:
    if not sandbox.isolation.full:
        pytest.skip(f"this kernel permits no more than {sandbox.isolation}")
    return sandbox


@pytest.fixture
def server() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def python(code: str, sandbox: Sandbox, *arguments: str, network: bool = False, writable: tuple[Path, ...] = ()) -> str:
    command = [sys.executable, "-I", "-c", code, *arguments]
    return runner.run_confined(command, sandbox, writable, build_uv_variables(os.environ), network=network)


def told(sandbox: Sandbox) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(python(TELL, sandbox))
    return values


def test_r1_no_secret_reaches_it_and_what_it_needs_does(
    sandbox: Sandbox, secrets: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NCCL_DEBUG", "WARN")
    told_of = told(sandbox)
    seen, cwd = told_of["variables"], told_of["cwd"]
    assert not {name: value for name, value in seen.items() if value == "s" or "me:s@" in value}
    assert seen.keys() & secrets.keys() == {"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_0", "GIT_CONFIG_VALUE_0"}
    assert (seen["GIT_CONFIG_KEY_0"], seen["NCCL_DEBUG"]) == ("url.https://mirror.example/.insteadOf", "WARN")
    assert (seen["UV_DEFAULT_INDEX"], seen["UV_LINK_MODE"]) == ("https://index.example/simple", "copy")
    assert (seen["HF_HUB_OFFLINE"], seen["HOME"], seen["TMPDIR"]) == ("1", cwd, cwd)
    assert not Path(cwd).exists()


def test_r1_it_gains_no_privileges_and_has_limits(sandbox: Sandbox) -> None:
    values = told(sandbox)
    assert values["status"]["NoNewPrivs"] == "1"
    assert values["limits"] == [0, 2 << 30, 8192]
    if os.geteuid() == 0 or sandbox.isolation.full:
        assert {int(values["status"][name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}


def test_it_sees_no_process_but_its_own(isolated: Sandbox) -> None:
    assert len(told(isolated)["processes"]) <= 3


def test_r1_the_network_is_off_unless_it_is_built(isolated: Sandbox, server: int) -> None:
    python(CONNECT, isolated, str(server), network=True)
    with pytest.raises(EnvironmentFailedError, match="ConnectionRefusedError"):
        python(CONNECT, isolated, str(server))


def test_its_own_loopback_works(isolated: Sandbox) -> None:
    python(
        "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())", isolated
    )


def test_it_writes_only_where_it_may(isolated: Sandbox, kept: Path) -> None:
    write = "import pathlib, sys; pathlib.Path('own').touch(); pathlib.Path(sys.argv[1], 'x').touch()"
    with pytest.raises(EnvironmentFailedError, match="Read-only file system"):
        python(write, isolated, str(kept))
    (inside := kept / "inside").mkdir()
    with pytest.raises(EnvironmentFailedError, match="Read-only file system"):
        python(write, isolated, str(inside))
    python(write, isolated, str(inside), writable=(inside,))
    assert [file.name for file in kept.rglob("*")] == ["inside", "x"]


def test_no_way_leads_out_of_a_folder_inside_what_is_protected(
    isolated: Sandbox, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (deep := kept / "deep").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with pytest.raises(EnvironmentFailedError, match="Read-only file system"):
        python("import pathlib; pathlib.Path('own').touch(); pathlib.Path('../x').touch()", isolated)
    assert list(kept.rglob("*")) == [deep]


def test_nothing_outlives_it(isolated: Sandbox, tmp_path: Path) -> None:
    mark = tmp_path / "alive"
    daemon = (
        "import os, sys, time\nif os.fork(): sys.exit()\nos.setsid(); open(sys.argv[1], 'w').close(); time.sleep(600)"
    )
    python(daemon, isolated, str(mark))
    left = subprocess.run(["pgrep", "-f", str(mark)], capture_output=True, text=True, check=False).stdout.split()
    assert all_end(int(pid) for pid in left if int(pid) != os.getpid())


def test_a_failure_is_told_with_its_last_words(sandbox: Sandbox) -> None:
    with pytest.raises(EnvironmentFailedError, match=r"the last word$") as failed:
        python("import sys; sys.exit('x' * 1_000_000 + 'the last word')", sandbox)
    assert len(failed.value.words) <= 4000


def test_r1_as_root_it_becomes_the_named_user_that_can_read_but_not_write(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root becomes another user")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")  # one that everybody can read
    monkeypatch.setenv("ZERO3_SANDBOX_USER", "nobody")
    sandbox = runner.find_sandbox([])
    assert told(sandbox)["uid"] not in (0, os.getuid())
    touch = "import pathlib, sys; pathlib.Path(sys.argv[1], 'x').touch()"
    with TemporaryDirectory() as name:
        (venv := Path(name)).chmod(0o755)
        sandbox.give(venv)
        python(touch, sandbox, name, writable=(venv,))
        sandbox.take(venv)
        with pytest.raises(EnvironmentFailedError, match="Permission denied"):
            python(touch, sandbox, name, writable=(venv,))


@pytest.mark.parametrize("isolation", [level for level in Isolation if level.full])
def test_as_root_another_user_reaches_a_folder_deep_in_one_of_roots(
    isolation: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0 or (isolation is Isolation.BUBBLEWRAP and not shutil.which("bwrap")):
        pytest.skip("only root becomes another user, and bubblewrap may be missing")
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    sandbox = Sandbox(isolation, "nobody")
    with TemporaryDirectory() as name:
        (deep := Path(name, "a", "b")).mkdir(parents=True)
        sandbox.give(deep)
        python("import pathlib, sys; pathlib.Path(sys.argv[1], 'x').touch()", sandbox, str(deep), writable=(deep,))
        assert (deep / "x").exists()


def test_a_user_that_nobody_can_become_is_told() -> None:
    with pytest.raises(SandboxError, match="there is no such user"):
        detect_sandbox(lambda _: True, {"ZERO3_SANDBOX_USER": "nobody-at-all"}, [])


def test_what_the_kernel_does_not_permit_is_left_out_and_told() -> None:
    tried: list[Isolation] = []

    def works(sandbox: Sandbox) -> bool:
        tried.append(sandbox.isolation)
        return sandbox.isolation is Isolation.NONE

    weaker = detect_sandbox(works, {}, [])
    assert tried == list(Isolation)
    assert "unshare" not in weaker.command(["true"], [Path("folder")])
    assert any("can reach the network" in words for words in weaker.missing)
    with pytest.raises(SandboxError, match="does not run confined"):
        detect_sandbox(lambda _: False, {}, [])


def test_the_files_of_a_steps_variables_are_protected(tmp_path: Path) -> None:
    assert tmp_path in detect_sandbox(lambda _: True, {"RUNNER_TEMP": str(tmp_path), "HOME": "/"}, []).protected
    (temp := tmp_path / "_work" / "_temp").mkdir(parents=True)  # beside it lie the actions that later steps run
    assert tmp_path in detect_sandbox(lambda _: True, {"RUNNER_TEMP": str(temp)}, []).protected


def test_a_folder_of_path_that_the_user_may_not_look_into_is_left_out(tmp_path: Path) -> None:
    (closed := tmp_path / "closed" / "bin").mkdir(parents=True)
    closed.parent.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        protected = detect_sandbox(lambda _: True, {"PATH": f"{closed}{os.pathsep}/usr/bin"}, []).protected
    finally:
        if root:
            os.seteuid(0)
        closed.parent.chmod(0o700)
    assert closed not in protected
    assert Path("/usr/bin").resolve() in protected


def test_credentials_in_addresses_are_cut() -> None:
    assert filter_variables({"UV_INDEX": "https://u:p@a.example/ https://t@b.example/"}) == {
        "UV_INDEX": "https://a.example/ https://b.example/"
    }


@pytest.mark.parametrize(
    "words", ["::set-output name=x::y", "a\n::error::b", "##[add-path]/x", "\x1b[2J\r::debug::", ":::error::"]
)
def test_r2_no_words_command_the_log(words: str) -> None:
    assert not {"::", "##[", "\n", "\r", "\x1b"} & {
        part for part in ("::", "##[", "\n", "\r", "\x1b") if part in neutralize(words)
    }


@pytest.mark.parametrize("word", ["\x1b", ":", "#", "\U000e0001", "a", " \t"])
def test_the_limit_is_that_of_the_line_as_it_is_shown(word: str) -> None:
    assert len(neutralize(word * 1000)) <= 300
    assert neutralize("a" * 1000) == "a" * 300
