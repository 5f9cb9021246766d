"""Packages and checkouts of exact commits, really built, confined."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from matrix.environments.source_builds import checkout, find_other_commits, install_confined
from matrix.environments.spec import Environment
from matrix.errors import EnvironmentFailedError
from matrix.process.sandbox import Sandbox


def repository(folder: Path) -> tuple[str, str]:
    """A git repository with a package whose build tells its variables; its address and commit."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "built"\nbackend-path = ["."]\n'
    )
    (folder / "built.py").write_text(
        "import os, zipfile\n"
        "def build_wheel(folder, config_settings=None, metadata_directory=None):\n"
        "    name = 'transformers-9.9-py3-none-any.whl'\n"
        "    with zipfile.ZipFile(os.path.join(folder, name), 'w') as wheel:\n"
        "        wheel.writestr('transformers.py', f'SEEN = {dict(os.environ)!r}')\n"
        "        info = 'transformers-9.9.dist-info/'\n"
        "        wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: transformers\\nVersion: 9.9\\n')\n"
        "        wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        "        wheel.writestr(info + 'RECORD', '')\n"
        "    return name\n"
    )
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b.example"]
    for step in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *step], check=True)
    sha = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return folder.as_uri(), sha


class OnlyTransformers(Environment):
    @property
    def requirements(self) -> tuple[str, ...]:
        return tuple(need for need in super().requirements if need.startswith("transformers"))


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


@pytest.mark.parametrize("commit", ["", "1", "{}", '{"commit_id": []}', f'{{"commit_id": "{"b" * 40}"}}', "[" * 9_000])
def test_a_package_of_another_commit_is_refused(commit: str, tmp_path: Path) -> None:
    folder = tmp_path / "lib/python3.11/site-packages/transformers-9.9.dist-info"
    folder.mkdir(parents=True)
    (folder / "direct_url.json").write_text(f'{{"vcs_info": {commit}}}')
    asked = OnlyTransformers(f"git+https://hub.example/transformers@{'a' * 40}", "", "")
    assert "not from aaaa" in "".join(find_other_commits(asked, tmp_path))
    (folder / "direct_url.json").write_text(json.dumps({"vcs_info": {"commit_id": "a" * 40}}))
    assert not list(find_other_commits(asked, tmp_path))


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
