"""Changes of a pull request, and what is affected by them."""

from textwrap import dedent

from bot.github.types import Change, ChangedFile, FileStatus
from bot.loading_code.affected import Affected, find_affected
from bot.loading_code.model_graph import ModelGraph

CORE = "src/transformers/modeling_utils.py"


LLAMA = "src/transformers/models/llama/modeling_llama.py"


GRAPH = ModelGraph({"llama": frozenset({"mistral"}), "mistral": frozenset({"mixtral"})})


def change(
    path: str,
    patch: str | None = "@@ -1,1 +1,2 @@\n+x = 1",
    status: FileStatus = FileStatus.MODIFIED,
    previous: str | None = None,
    repository: str = "huggingface/transformers",
) -> Change:
    """Returns a change of one file."""
    return Change(repository, (ChangedFile(path, status, previous, patch and dedent(patch)),), total=1)


def judge(path: str, patch: str, models: ModelGraph | None = GRAPH) -> Affected:
    """Returns what a change of this file of transformers affects."""
    return find_affected(change(path, patch), models)
