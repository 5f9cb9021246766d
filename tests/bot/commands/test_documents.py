"""What the documents say about the code is generated from it."""

from pathlib import Path

import pytest

from bot.commands.documents import BLOCKS, ROOT, documents

DOCUMENTS = dict(documents())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_is_as_generated(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == DOCUMENTS[path], "run python -m bot documents"


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_in_a_document(name: str) -> None:
    assert any(f"bot documents: {name} -->" in text for text in DOCUMENTS.values())


def test_only_what_is_between_the_lines_of_a_block_is_rewritten(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    begin, end = "<!-- made by python -m bot documents: verdicts -->\n", "<!-- end -->"
    (tmp_path / "README.md").write_text(f"before\n{begin}old\n{end}\nbetween\n{begin}{end}\nafter\n")
    made = f"{begin}{BLOCKS['verdicts']()}{end}"
    assert dict(documents(tmp_path))[tmp_path / "README.md"] == f"before\n{made}\nbetween\n{made}\nafter\n"
