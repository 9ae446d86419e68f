"""The experiments that the command line knows: a question each, with settings and a way to answer it.

An experiment is a frozen dataclass of settings, which is its Python interface, its flags and its provenance at once,
and a function from settings to an `Outcome`. The functions are imported when they run, so that listing costs nothing.
"""

from equivariance.experiments.autoencoder.settings import (
    AutoencoderSettings as AutoencoderSettings,
)
from equivariance.experiments.experiment import Experiment as Experiment
from equivariance.experiments.experiment import Outcome as Outcome
from equivariance.experiments.stride.settings import StrideSettings as StrideSettings
from equivariance.experiments.subsampling.settings import (
    SubsamplingSettings as SubsamplingSettings,
)

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in [
        Experiment(
            name="stride",
            summary="what a stride does to translation equivariance, and what mends it",
            settings=StrideSettings(),
            home="equivariance.experiments.stride.run",
        ),
        Experiment(
            name="subsampling",
            summary="every kind of subsampling, at translations of every kind, on fields of several bands",
            settings=SubsamplingSettings(),
            home="equivariance.experiments.subsampling.run",
        ),
        Experiment(
            name="autoencoder",
            summary="what equivariant subsampling buys an autoencoder at positions that it never saw",
            settings=AutoencoderSettings(),
            home="equivariance.experiments.autoencoder.run",
        ),
    ]
}
