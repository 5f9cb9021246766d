"""Packages and checkouts of exact commits, really built, confined."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from matrix.environments.source_builds import checkout, install_confined
from matrix.environments.spec import Environment
from matrix.environments.wheels import Archive, fetch_archive, read_build_needs
from matrix.errors import EnvironmentFailedError
from matrix.process.sandbox import Sandbox


def repository(folder: Path) -> tuple[str, str]:
    """A git repository with a package whose build tells its variables; its address and commit."""
    make_sources(folder)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for step in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *step], check=True)
    sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return folder.as_uri(), sha


def make_sources(folder: Path, package: str = "transformers") -> None:
    """Writes a package: its build keeps the variables that it sees, whether there is a network, and a forged record."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "built"\nbackend-path = ["."]\n'
    )
    (folder / "built.py").write_text(
        "import os, socket, zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = 'PACKAGE-9.9-py3-none-any.whl'\n"
        "    try:\n"
        "        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 9)); route = True\n"
        "    except OSError:\n"
        "        route = False\n"
        "    with zipfile.ZipFile(os.path.join(folder, name), 'w') as wheel:\n"
        "        wheel.writestr('PACKAGE.py', f'SEEN = {dict(os.environ)!r}; ROUTE = {route}')\n"
        "        info = 'PACKAGE-9.9.dist-info/'\n"
        "        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: PACKAGE\\nVersion: 9.9\\n')\n"
        "        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        '        wheel.writestr(info + \'direct_url.json\', \'{"vcs_info": {"commit_id": "forged"}}\')\n'
        "        wheel.writestr(info + 'RECORD', '')\n"
        "    return name\n".replace("PACKAGE", package)
    )


class OnlyTransformers(Environment):
    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(need for need in super().requirements if need.startswith("transformers"))


class TwoPackages(Environment):
    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(need for need in super().requirements if need.startswith(("transformers", "deepspeed")))


class OnlyFolder(Environment):
    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(need for need in super().requirements if need.startswith("/"))


def test_a_pull_requests_package_is_built_without_secrets_from_the_commit_asked_for(
    sandbox: Sandbox, kept: Path, secrets: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, sha = repository(kept / "hub")
    monkeypatch.setenv("GIT_CONFIG_KEY_1", f"url.{address}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_1", "https://hub.example/transformers")
    monkeypatch.setenv("UV_OFFLINE", "0")
    environment = OnlyTransformers(f"git+https://hub.example/transformers@{sha}", "", "")
    interpreter = install_confined(environment, kept / "pair-head", sandbox)
    seen = subprocess.run(
        [interpreter, "-c", "import transformers, json; print(json.dumps(transformers.SEEN))"],
        check=True,
        capture_output=True,
    ).stdout
    assert not {name for name, value in json.loads(seen).items() if value == "s"}
    (record,) = interpreter.parents[1].glob("lib/*/site-packages/transformers-9.9.dist-info/direct_url.json")
    assert json.loads(record.read_text())["vcs_info"]["commit_id"] == sha
    record.write_text("{}")
    assert install_confined(environment, kept / "pair-head", sandbox) == interpreter, (
        "what is finished is not built again"
    )
    assert record.read_text() == "{}"


def test_a_release_that_comes_as_sources_is_built_confined_and_without_a_network(
    sandbox: Sandbox, kept: Path, secrets: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not sandbox.isolation.full:
        pytest.skip(f"this kernel permits no more than {sandbox.isolation}")
    offer_sources(kept, "transformers", monkeypatch)
    interpreter = install_confined(OnlyTransformers("9.9", "", ""), kept / "pair-head", sandbox)
    ask = "import transformers, json; print(json.dumps([transformers.SEEN, transformers.ROUTE]))"
    seen, route = json.loads(subprocess.run([interpreter, "-c", ask], check=True, capture_output=True).stdout)
    assert not {name for name, value in seen.items() if value == "s"}
    assert not route


def offer_sources(kept: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes an index that has release 9.9 of `package`, among others, and it as sources only."""
    make_sources(folder := kept / f"{package}-9.9", package)
    (folder / "PKG-INFO").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 9.9\n")
    (kept / "links").mkdir(exist_ok=True)
    shutil.make_archive(str(kept / "links" / folder.name), "gztar", kept, folder.name)
    monkeypatch.setenv("UV_FIND_LINKS", str(kept / "links"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "file:///no-index")


def test_two_releases_that_come_as_sources_are_both_built(
    sandbox: Sandbox, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("transformers", "deepspeed"):
        offer_sources(kept, package, monkeypatch)
    interpreter = install_confined(TwoPackages("9.9", "9.9", ""), kept / "pair-head", sandbox)
    subprocess.run([interpreter, "-c", "import transformers, deepspeed"], check=True)


def test_what_cargo_fetches_is_there_for_the_build(
    sandbox: Sandbox, kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_sources(kept / "mine")
    (kept / "mine" / "Cargo.toml").touch()
    backend = kept / "mine" / "built.py"
    look = "import os\nos.environ['FETCHED'] = open(os.environ['CARGO_HOME'] + '/fetched').read()\n"
    backend.write_text(look + backend.read_text())
    (kept / ".rustup").mkdir()
    (kept / "bin").mkdir()
    (cargo := kept / "bin" / "cargo").write_text(
        '#!/bin/sh\nmkdir -p "$CARGO_HOME" && echo "$1 $RUSTUP_HOME" > "$CARGO_HOME/fetched"\n'
        '! touch "$RUSTUP_HOME/x" 2>/dev/null\n'
    )
    cargo.chmod(0o755)
    monkeypatch.setenv("PATH", str(cargo.parent), prepend=os.pathsep)
    monkeypatch.delenv("RUSTUP_HOME", raising=False)
    interpreter = install_confined(OnlyFolder(str(kept / "mine"), "", ""), kept / "pair-head", sandbox)
    ask = "import transformers; print(transformers.SEEN['FETCHED'], transformers.SEEN['CARGO_NET_OFFLINE'])"
    said = subprocess.run([interpreter, "-c", ask], check=True, capture_output=True, text=True).stdout.split()
    assert said == ["fetch", str(kept / ".rustup"), "true"]


def test_a_folder_of_sources_is_built_from_a_copy(sandbox: Sandbox, kept: Path) -> None:
    make_sources(kept / "mine")
    before = sorted(kept.rglob("mine/**/*"))
    interpreter = install_confined(OnlyFolder(str(kept / "mine"), "", ""), kept / "pair-head", sandbox)
    subprocess.run([interpreter, "-c", "import transformers"], check=True)
    assert sorted(kept.rglob("mine/**/*")) == before


def test_an_archive_that_is_not_the_one_of_the_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_text("evil")
    archive = Archive(url=(tmp_path / "a.tar.gz").as_uri(), hashes={"sha256": "0" * 64})
    (tmp_path / "out").mkdir()
    with pytest.raises(EnvironmentFailedError, match="another sha256"):
        fetch_archive(archive, tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "build-system = 1",
        '[build-system]\nrequires = ["--index-url=x"]',
        "[build-system]\nrequires = [1]",
        "a=" + "[" * 9000,
    ],
)
def test_hostile_settings_of_a_build_are_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(EnvironmentFailedError):
        read_build_needs(tmp_path)


def test_an_installation_that_failed_is_begun_anew(sandbox: Sandbox, kept: Path) -> None:
    address, sha = repository(kept / "hub")
    with pytest.raises(EnvironmentFailedError):
        install_confined(OnlyTransformers(f"git+{address}@{'0' * 40}", "", ""), kept / "pair-head", sandbox)
    (kept / "pair-head" / "left").touch()
    install_confined(OnlyTransformers(f"git+{address}@{sha}", "", ""), kept / "pair-head", sandbox)
    assert not (kept / "pair-head" / "left").exists()


def test_a_checkout_is_of_the_commit_asked_for(sandbox: Sandbox, kept: Path, tmp_path: Path) -> None:
    address, sha = repository(kept / "hub")
    assert (checkout(f"git+{address}@{sha}", tmp_path / "probe", sandbox) / "built.py").exists()
    with pytest.raises(EnvironmentFailedError):
        checkout(f"git+{address}@{'0' * 40}", tmp_path / "probe", sandbox)
    with pytest.raises(EnvironmentFailedError, match="40 hexadecimal digits"):
        checkout(f"git+{address}@main", tmp_path / "probe", sandbox)
