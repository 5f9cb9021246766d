"""The loaders a case can use: what this transformers ships, or that with our fixed loader."""

from collections.abc import Iterator
from contextlib import contextmanager

from matrix.model import Loader
from matrix.probe import zero3_buffers


@contextmanager
def use_loader(which: Loader) -> Iterator[None]:
    """Loads with `which` for as long as the context lasts."""
    if which is Loader.STOCK:
        yield
        return
    zero3_buffers.install()
    try:
        yield
    finally:
        zero3_buffers.uninstall()
