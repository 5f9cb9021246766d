"""Versions are in one order everywhere, whatever a record calls a version."""

from matrix.versions import is_release, sort_versions, version_key


def test_versions_are_in_their_order_and_what_is_none_comes_first() -> None:
    assert sort_versions(["5.10.0", "5.9.0", "5.10.0.dev0", "main", "5.9.0"]) == (
        "main",
        "5.9.0",
        "5.10.0.dev0",
        "5.10.0",
    )


def test_versions_that_are_equal_are_one_to_a_search() -> None:
    assert version_key("5.0") == version_key("5.0.0") != version_key("main")


def test_a_release_is_what_an_index_has() -> None:
    assert [is_release(text) for text in ("5.0.0", "5.0.0rc1", "5.0.0.dev0", "5.0.0+git.1", "main")] == [
        *(True, True, False, False, False)
    ]
