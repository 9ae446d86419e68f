"""The experiments that the command line knows: a question each, with settings and a way to answer it.

An experiment is a frozen dataclass of settings, which is its Python interface, its flags and its provenance at once,
and a function from settings to an `Outcome`. The functions are imported when they run, so that listing costs nothing.
"""

from equivariance.experiments.experiment import Experiment as Experiment
from equivariance.experiments.experiment import Outcome as Outcome
from equivariance.experiments.stride.settings import StrideSettings as StrideSettings

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in [
        Experiment(
            name="stride",
            summary="what a stride does to translation equivariance, and what mends it",
            settings=StrideSettings(),
            home="equivariance.experiments.stride.run",
        ),
    ]
}
