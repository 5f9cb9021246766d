"""Which releases the index has and the matrix has not."""

import os
import shutil
from pathlib import Path
from zipfile import ZipFile

import pytest

from matrix.environments.choose import load_environments
from matrix.environments.packages import CROSSED
from matrix.environments.releases import describe_new_release
from matrix.environments.spec import Environment
from matrix.errors import NoIndexError


@pytest.mark.parametrize("package", CROSSED)
def test_the_matrix_has_the_newest_release(package: str) -> None:
    """A release upstream must not fail a change that has nothing to do with it: the summary names it, `--runxfail` fails."""
    try:
        news = describe_new_release(package, load_environments())
    except NoIndexError as error:
        pytest.skip(str(error))
    if news:
        pytest.xfail(news)
    assert not news, news


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index that has transformers 6.0.0 and deepspeed 0.20.0."""
    for name in ("transformers-6.0.0", "deepspeed-0.20.0"):
        package, version = name.split("-")
        with ZipFile(tmp_path / f"{package}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(
                f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
            )
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"CONFIG_FILE": os.devnull, "NO_INDEX": "1", "FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    return tmp_path


def known(transformers: str, deepspeed: str) -> list[Environment]:
    return [Environment("5.6.0", "0.19.8", "2.13.0"), Environment(transformers, deepspeed, "2.13.0")]


def test_a_new_release_is_named_with_what_to_do(index: Path) -> None:
    assert [describe_new_release(package, known("5.24.0", "0.19.4")) for package in CROSSED] == [
        "transformers 6.0.0 is out: add one line to matrix/environments.toml, then `nox -s catalog`",
        "deepspeed 0.20.0 is out: add one line to matrix/environments.toml",
    ]


def test_looking_for_the_newest_release_runs_none_of_its_sources(index: Path, tmp_path: Path) -> None:
    (sources := tmp_path / "deepspeed-0.21.0").mkdir()
    (sources / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: deepspeed\nVersion: 0.21.0\n")
    (sources / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    # Without it uv would fail to find setuptools before it runs setup.py.
    (sources / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "setup"\nbackend-path = ["."]\n'
    )
    shutil.make_archive(str(sources), "gztar", tmp_path, sources.name)
    assert describe_new_release("deepspeed", known("5.24.0", "0.19.8")).startswith("deepspeed 0.21.0 is out")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("transformers", "deepspeed"), [("6.0.0", "0.20.0"), ("6.1.0", "0.21.0")], ids=["same", "ahead"]
)
def test_what_the_matrix_has_is_not_new(index: Path, transformers: str, deepspeed: str) -> None:
    assert [describe_new_release(package, known(transformers, deepspeed)) for package in CROSSED] == ["", ""]


def test_an_index_that_does_not_answer_says_nothing_about_releases(index: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(NoIndexError, match="cannot determine the newest release of transformers"):
        describe_new_release("transformers", known("5.24.0", "0.19.8"))
