"""A site as GitHub Pages takes it."""

import tarfile
from pathlib import Path

import pytest

from bot.nightly.pages_artifact import SiteTooLargeError, pack_site
from matrix.errors import NoResultsError, OutputError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    for name in ("index.html", "cases/a,b~c/x.html", ".git/config", "cases/.hidden"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "link.html").symlink_to("/etc/passwd")
    return folder


def test_it_holds_plain_visible_files_and_no_links(site: Path, tmp_path: Path) -> None:
    assert pack_site(site, tmp_path / "artifact.tar") == 2
    with tarfile.open(tmp_path / "artifact.tar") as archive:
        assert archive.getnames() == ["./cases/a,b~c/x.html", "./index.html"]
        assert all(entry.isfile() and entry.mode == 0o644 for entry in archive)


def test_the_same_site_gives_the_same_bytes(site: Path, tmp_path: Path) -> None:
    pack_site(site, tmp_path / "one.tar")
    (site / "index.html").touch()
    pack_site(site, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


def test_what_github_would_not_publish_is_refused(site: Path, tmp_path: Path) -> None:
    with pytest.raises(SiteTooLargeError, match="28 bytes"):
        pack_site(site, tmp_path / "artifact.tar", limit=20)
    with pytest.raises(NoResultsError):
        pack_site(tmp_path / "nothing", tmp_path / "artifact.tar")
    with pytest.raises(OutputError):
        pack_site(site, tmp_path / "nowhere" / "artifact.tar")
