"""Command lines made from a table of commands; what a command imports is imported when it is asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from matrix.command_line.output import say
from matrix.errors import UnknownNameError


@dataclass(frozen=True)
class CommandEntry:
    """A command of this project. A name of two words is in the group of the first.

    `function` is where it is, as `module:function`. `name` is its name below `python -m matrix` or `python -m bot`.
    `zero3` is its name below `zero3`; it is empty for what only developers of this project need.
    """

    function: str
    name: str
    zero3: str = ""


def make_app(functions: Mapping[str, str], words: str, groups: Mapping[str, str]) -> typer.Typer:
    """Returns the command line of these `functions` by name; `words` is its help, `groups` has that of each group."""
    settings: dict[str, Any] = {"add_completion": False, "no_args_is_help": True, "pretty_exceptions_enable": False}
    app = typer.Typer(cls=_make_group(functions, groups), help=words, **settings)
    app.callback()(_options)
    return app


def load_function(place: str) -> Callable[..., None]:
    """Imports the function of `module:function`."""
    module, _, function = place.partition(":")
    loaded: Callable[..., None] = getattr(import_module(module), function)
    return loaded


def _make_group(functions: Mapping[str, str], groups: Mapping[str, str]) -> type[TyperGroup]:
    class LazyGroup(TyperGroup):
        """The commands of the table; each is imported when it is asked for."""

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
            first = dict.fromkeys(name.partition(" ")[0] for name in functions)
            return sorted(first, key=lambda name: name in groups)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
            if cmd_name in groups:
                inner = {
                    name.partition(" ")[2]: place
                    for name, place in functions.items()
                    if name.startswith(f"{cmd_name} ")
                }
                group = typer.main.get_command(make_app(inner, groups[cmd_name], {}))
                group.name = cmd_name
                return group
            return _make_command(cmd_name, functions[cmd_name]) if cmd_name in functions else None

        def resolve_command(self, ctx: Any, args: list[str]) -> Any:
            if args[0] not in self.list_commands(ctx):
                raise UnknownNameError("command", [args[0]], list(functions), f"{ctx.command_path} --help")
            return super().resolve_command(ctx, args)

    return LazyGroup


def _make_command(name: str, place: str) -> Any:
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name)(load_function(place))
    return typer.main.get_command(single)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer's signature
    if asked:
        say(f"zero3-matrix {find_version()}")
        raise typer.Exit


def find_version() -> str:
    """Returns the version of this project that is installed; says so where it runs from a checkout."""
    try:
        return version("zero3-matrix")
    except PackageNotFoundError:
        return "(a checkout that is not installed)"


def _options(
    *,
    _: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """The options of a command line itself."""
