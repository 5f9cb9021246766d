"""Makes wheels of what comes as sources, confined: a commit, a folder, a release without a wheel.

Downloading and building are apart. What is downloaded (sources, and wheels that the build needs) comes by steps that run
none of it; the build, which runs any code, has no network.
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import tomllib
from packaging.requirements import InvalidRequirement, Requirement
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from matrix.download import fetch
from matrix.environments.install import find_uv
from matrix.environments.pip_config import build_uv_variables
from matrix.errors import EnvironmentFailedError
from matrix.process.run import run, run_confined
from matrix.process.sandbox import Sandbox
from matrix.process.temporary import temporary_folder

_LIMIT: Final = 512 << 20
"""Bytes of an archive of sources; deepspeed's has 2 MB."""
_SETTINGS_LIMIT: Final = 1 << 20
_PINNED: Final = re.compile(r"([\w.-]+)==(\S+)")
_UNPACK: Final = "import shutil, sys; shutil.unpack_archive(sys.argv[1], sys.argv[2])"


class Archive(TypedDict, total=False):
    """Where an archive of sources is, and what it must be; as pylock.toml has it (PEP 751)."""

    url: str
    path: str
    hashes: dict[str, str]


class _Package(TypedDict, total=False):
    name: str
    version: str
    sdist: Archive
    wheels: list[object]


class _Lock(TypedDict, total=False):
    packages: list[_Package]


_LOCK: Final = TypeAdapter(_Lock)


@dataclass(frozen=True)
class Builder:
    """Builds wheels in `folder`, which untrusted code may change, for the interpreter of a fresh environment."""

    folder: Path
    interpreter: Path
    sandbox: Sandbox

    def build(self, source: Path, place: Path) -> Path:
        """Returns the wheel that the sources in `place`, a folder below `folder`, give; raises EnvironmentFailedError."""
        needs, out, python = read_build_needs(source), place / "wheel", place / "build"
        rust = find_rust(os.environ, place)
        self.sandbox.give(self.folder)
        self._run([find_uv(), "venv", "--quiet", "--python", str(self.interpreter), str(python)], network=True)
        install = [find_uv(), "pip", "install", "--quiet", "--no-build", "--python", str(python / "bin" / "python")]
        if needs:
            self._run([*install, *needs], network=True)
        if (source / "Cargo.toml").is_file():
            fetch_crates = ["cargo", "fetch", "--quiet", "--manifest-path", str(source / "Cargo.toml")]
            self._run(fetch_crates, rust, network=True)
        build = [find_uv(), "build", "--quiet", "--wheel", "--offline", "--no-build-isolation"]
        offline = {**rust, "CARGO_NET_OFFLINE": "true"}
        self._run([*build, "--python", str(python / "bin" / "python"), "--out-dir", str(out), str(source)], offline)
        if len(wheels := list(out.glob("*.whl"))) != 1:
            raise EnvironmentFailedError(source.name, f"building it makes {len(wheels)} wheels")
        return wheels[0]

    def unpack(self, archive: Path) -> Path:
        """Returns the folder with the sources of an archive."""
        folder = archive.parent / "sources"
        self.sandbox.give(self.folder)
        self._run([sys.executable, "-I", "-c", _UNPACK, str(archive), str(folder)])
        inside = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
        if len(inside) != 1:
            raise EnvironmentFailedError(archive.name, "an archive of sources has one folder")
        return inside[0]

    def _run(self, command: list[str], more: Mapping[str, str] | None = None, *, network: bool = False) -> None:
        variables = {**build_uv_variables(os.environ), **(more or {})}
        run_confined(command, self.sandbox, [self.folder], variables, network=network)


def find_rust(outer: Mapping[str, str], place: Path) -> dict[str, str]:
    """Returns the variables by which cargo keeps its downloads in `place`, and finds the host's compiler.

    One folder for each package: settings of cargo, which a build can write there, can make the next download run code.
    """
    found = Path(outer.get("RUSTUP_HOME") or Path(outer.get("HOME", "/"), ".rustup"))
    return {"CARGO_HOME": str(place / "cargo"), **({"RUSTUP_HOME": str(found)} if found.is_dir() else {})}


def read_build_needs(source: Path) -> list[str]:
    """Returns what a build of `source` needs installed (PEP 518); raises EnvironmentFailedError for anything else."""
    file = source / "pyproject.toml"
    if file.is_symlink() or not file.is_file():
        return ["setuptools", "wheel"]
    try:
        with file.open("rb") as settings:  # hostile: any size, any content
            parsed = tomllib.loads(settings.read(_SETTINGS_LIMIT).decode())
        needs = parsed.get("build-system", {}).get("requires", ["setuptools", "wheel"])
        return [str(Requirement(need)) for need in needs]
    except (OSError, ValueError, TypeError, AttributeError, RecursionError, InvalidRequirement) as error:
        raise EnvironmentFailedError(source.name, f"pyproject.toml is not one: {type(error).__name__}") from error


def find_archives(requirements: tuple[str, ...], interpreter: Path) -> dict[str, Archive]:
    """Returns the pinned releases, by requirement, that the index has as sources only; runs none of them.

    Raises EnvironmentFailedError with the resolver's message.
    """
    pins = {found[0]: (found[1], found[2]) for need in requirements if (found := _PINNED.fullmatch(need))}
    if not pins:
        return {}
    with temporary_folder("resolve") as folder:
        # With their metadata given, uv builds nothing to get it.
        given = "".join(
            f"[[dependency-metadata]]\nname = {json.dumps(name)}\nversion = {json.dumps(version)}\n"
            for name, version in pins.values()
        )
        (folder / "uv.toml").write_text(given)
        question = ["--directory", str(folder), "pip", "compile", "--quiet", "--no-deps", "--format", "pylock.toml"]
        command = [find_uv(), *question, "--python", str(interpreter.absolute()), "-"]
        done = run(command, build_uv_variables(os.environ), "\n".join(pins))
    try:
        packages = _LOCK.validate_python(tomllib.loads(done.stdout))["packages"]
    except (ValidationError, ValueError, KeyError) as error:
        raise EnvironmentFailedError(", ".join(pins), done.stderr.strip()) from error
    only_sources = {package["name"]: package["sdist"] for package in packages if not package.get("wheels")}
    return {need: only_sources[name] for need, (name, _) in pins.items() if name in only_sources}


def fetch_archive(archive: Archive, folder: Path) -> Path:
    """Downloads an archive of sources into `folder` and returns it; raises EnvironmentFailedError for another content."""
    place = archive.get("url") or archive["path"]
    file = folder / Path(place).name
    if "://" in place and not place.startswith("file://"):
        content = fetch(place, limit=_LIMIT)
    else:
        content = Path(place.removeprefix("file://")).read_bytes()
    if (wanted := archive.get("hashes", {}).get("sha256")) and sha256(content).hexdigest() != wanted:
        raise EnvironmentFailedError(file.name, "it is not the file that the index names: another sha256")
    file.write_bytes(content)
    return file
