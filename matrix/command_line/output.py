"""The only door of the command line to the terminal: what it prints may quote strangers, and must not be obeyed by it."""

import typer

from matrix.text import make_visible


def say(words: object, *, err: bool = False, end: bool = True) -> None:
    """Prints `words`, with an `end` of line unless told otherwise; on stderr with `err`.

    Control characters other than line ends and tabs are written out, as are those that reorder text.
    """
    typer.echo(make_visible(str(words)), err=err, nl=end)
