"""Makes sizes small that a configuration keeps in plain tables, as it does in the configurations inside it."""

from collections.abc import Mapping
from typing import Any

from transformers import PretrainedConfig

from matrix.probe.tiny import recipes


def shrink_tables(config: PretrainedConfig) -> dict[str, Any]:
    """Returns the plain tables of `config`, and of the configurations inside it, that the rules make smaller."""
    found = {}
    for name, value in {**recipes.read_arguments(config), **_read_attributes(config)}.items():
        small = shrink_tables(value) if isinstance(value, PretrainedConfig) else _shrink(name, value)
        if small and (isinstance(value, PretrainedConfig) or small != value):
            found[name] = small
    return found


def _read_attributes(config: PretrainedConfig) -> dict[str, Any]:
    """Returns what was given through `**kwargs` too."""
    return {name: value for name, value in vars(config).items() if not name.startswith("_")}


def _shrink(name: str, value: Any) -> Any:
    """Returns a table, or a list that has one, with small sizes; nothing for what holds no table."""
    if isinstance(value, Mapping):
        return shrink_table(value)
    if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        return [_shrink(name, item) or item for item in value]
    return None


def shrink_table(table: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `table` as `recipes.shrink` makes a configuration: sizes by their names, a layer of each kind."""
    small = {name: _shrink(name, value) or recipes.shrink_value(str(name), value) for name, value in table.items()}
    return {**small, **recipes.keep_layer_kinds(table), **recipes.keep_heads_equal(table)}
