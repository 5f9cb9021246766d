"""Small runs for the tests of reports."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from matrix.environments.pins import find_commit
from matrix.model import Case, Cell, Check, Device, EnvironmentInfo, Failure, Finding, Kind, Loader, Tensors, What
from matrix.results.write import append
from matrix.verdicts import Verdict

ROUTER = "deepseek_v3:DeepseekV3ForCausalLM"
BERT = "bert:BertModel"
RESOLVER = Failure("ResolutionError", "no version of transformers==9.9.9\nso your requirements are unsatisfiable")


def info(transformers: str = "5.5.4", device: Device = Device.CPU, **other: Any) -> EnvironmentInfo:
    values: dict[str, Any] = {"python": "3.11.9", "torch": "2.13.0", "deepspeed": "0.19.8", "accelerate": "1.15.0"}
    values |= {"world_size": 2, "hardware": "2 cores", "backend": device.backend, "device": device, **other}
    name = f"transformers-{transformers}+deepspeed-0.19.8+torch-{values['torch']}+{device}"
    return EnvironmentInfo(**{"id": name, "transformers": transformers, **values})


def with_commits(environment: EnvironmentInfo, pins: Mapping[str, str]) -> EnvironmentInfo:
    """Returns `environment` with the commits of `pins` in its packages, as the host writes them."""
    commits = {name: commit for name, pin in pins.items() if (commit := find_commit(pin))}
    own = {name: f"{vars(environment).get(name, '')}+git.{commit}" for name, commit in commits.items()}
    return replace(environment, packages={**environment.packages, **own})


def finding(tensor: str = "model.layers.0.mlp.gate.bias", **other: Any) -> Finding:
    values: dict[str, Any] = {"what": What.BUFFER, "site": "Router.bias", "kind": Kind.INIT_VALUE, "ranks": (0, 1)}
    values |= {"reported_missing": True, "expected": (0.296875,), "actual": (0.0,), "elements": (8, 8)}
    return Finding(tensor, **{**values, **other})


def case(architecture: str = ROUTER, verdict: Verdict = Verdict.PASS, **other: Any) -> Case:
    values: dict[str, Any] = {"loader": Loader.STOCK, "check": Check("load"), "tensors": Tensors(2, 33, 2)}
    if verdict is Verdict.CORRUPT:
        values["findings"] = (finding(),)
    return Case(architecture, verdict=verdict, **{**values, **other})


def cell(*cases: Case, environment: EnvironmentInfo | None = None, **other: Any) -> Cell:
    values: dict[str, Any] = {"catalog": "sha256:c", "probe": "sha256:p", "started": "2026-11-22T18:00:00Z"}
    values |= {"planned": len(cases), "complete": True, **other}
    return Cell(environment or info(), cases=cases, **values)


def written(folder: Path, *cells: Cell) -> str:
    """Writes a folder of results with these cells, and returns its path."""
    for measured in cells:
        with append(folder / f"{measured.environment.id}.jsonl") as writer:
            writer.header(measured)
            for each in measured.cases:
                writer.case(each)
            if measured.complete:
                writer.end(measured.cases, measured.timing)
    return str(folder)
