"""What is measured where nothing is named."""

from matrix.environments.choose import load_environments
from matrix.measure.selection import Effort, choose_architectures, choose_effort
from matrix.model import Device, Precision

KNOWN = load_environments()
OLDER = next(environment for environment in KNOWN if environment.transformers == "4.57.6")


def test_on_a_cpu_the_older_pairs_of_the_default_set_are_measured_in_bf16_alone() -> None:
    assert choose_effort(OLDER, KNOWN[0], Device.CPU) == Effort((Precision.BF16,), 1, sparing=True)
    assert choose_effort(KNOWN[0], KNOWN[0], Device.CPU) == Effort(confirmations=1, sparing=True)


def test_on_gpus_and_in_other_environments_nothing_is_saved() -> None:
    nightly = next(environment for environment in KNOWN if "default" not in environment.sets)
    everything = Effort((Precision.FLOAT32, Precision.BF16), confirmations=2)
    assert choose_effort(OLDER, KNOWN[0], Device.CUDA) == everything
    assert choose_effort(nightly, KNOWN[0], Device.CPU) == everything
    assert choose_effort(None, KNOWN[0], Device.CPU) == everything


def test_the_selection_of_a_release_has_nothing_that_only_another_one_needs() -> None:
    counts = {v: len(choose_architectures([], "auto", Device.CPU, v)) for v in ("4.57.6", "5.24.0", "")}
    assert counts["4.57.6"] < counts["5.24.0"] < counts[""] < len(choose_architectures([], "full", Device.CPU))
