"""Which models are built from which, read from their sources."""

from bot.loading_code.model_graph import ModelGraph, build_model_graph


def test_the_graph_reads_who_imports_from_whom() -> None:
    graph = build_model_graph({
        "src/transformers/models/mistral/modular_mistral.py": "from ..llama.modeling_llama import A",
        "x/models/mixtral/modular_mixtral.py": "from ...models.mistral.modeling_mistral import B\nimport torch",
        "models/deprecated/old/modeling_old.py": "from transformers.models.llama.modular_llama import C",
        "models/auto/modeling_auto.py": "from ..llama.configuration_llama import D",
        "models/broken/modeling_broken.py": "from ..llama.modeling_llama import (",
        "models/llama/tokenization_llama.py": "from ..gemma.modeling_gemma import E",
    })  # fmt: skip
    assert graph.dependents(["llama"]) == {"mistral", "mixtral", "old", "auto"}
    assert graph.dependents(["mixtral"]) == set()


def test_a_circle_of_models_ends() -> None:
    assert ModelGraph({"a": frozenset({"b"}), "b": frozenset({"a"})}).dependents(["a"]) == {"b"}
