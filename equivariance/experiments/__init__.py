"""The experiments that the command line knows: a question each, with settings and a way to answer it.

An experiment is one module of its name, with a frozen dataclass of settings and a study that measures and tells, a
template of its page, and a line here. The modules are imported when they run, so that listing costs nothing.
"""

from typing import Any

from equivariance.experiments.experiment import Everything as Everything
from equivariance.experiments.experiment import Experiment as Experiment
from equivariance.experiments.experiment import Outcome as Outcome

SUMMARIES = {
    "stride": "what a stride does to translation equivariance, and what mends it",
    "subsampling": "every kind of subsampling, at translations of every kind, on fields of several bands",
    "autoencoder": "what equivariant subsampling buys an autoencoder at positions that it never saw",
    "model": "where a residual network breaks, whether strides or borders do it, and what would mend it",
    "resolution": "how fine a grid has to be: errors against spacing, measured and foretold from the spectrum",
    "weight-sharing": "to commute with translations is to share weights: all maps that do, found without assuming it",
    "commute": "both ways round the diagram for every layer: on fields, on samples, sampled before or after",
    "local": "parts that move independently: when a layer notices that there are two",
    "nonlinearity": "how much of a band limit each activation breaks, and what over-sampling it buys",
    "invariance": "which invariants survive: global pooling behind every kind of subsampling",
    "boundary": "torus against windows: what enters and leaves, and how far each padding is felt",
}
EXPERIMENTS = {name: Experiment(name, summary) for name, summary in SUMMARIES.items()}

#: What `equivariance run` takes: each experiment, and all of them.
RUNNABLE: dict[str, Experiment | Everything] = {**EXPERIMENTS, "all": Everything(EXPERIMENTS)}


def __getattr__(name: str) -> Any:
    """The settings of an experiment, `StrideSettings`, and so on."""
    for experiment in EXPERIMENTS.values():
        if name == f"{experiment.title}Settings":
            return experiment.study.SETTINGS
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
