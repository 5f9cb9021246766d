"""What tests of the history begin with."""

from pathlib import Path

import pytest

from tests.support.history.folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)
