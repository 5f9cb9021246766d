"""The wheel and the sdist hold the packages with all of their data, and nothing else of ours."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from matrix.environments.install import find_uv

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([find_uv(), "build", "--quiet", "--out-dir", folder, ROOT], check=True)
    return folder


def sources() -> set[str]:
    """The files that git knows, or would add."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "matrix", "bot"]
    listed = subprocess.run(listing, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return {name for name in listed if (ROOT / name).is_file()}


def test_the_wheel_has_every_file_of_the_packages(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    assert {name for name in names if ".dist-info/" not in name} == sources()


def test_the_sdist_has_every_file_of_the_packages(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    assert {name for name in names if name.startswith(("matrix/", "bot/"))} == sources()
    assert names >= {"pyproject.toml", "README.md"}
