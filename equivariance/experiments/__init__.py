"""The experiments that the command line knows: a question each, with settings and a way to answer it.

An experiment is a frozen dataclass of settings, a module that measures (`run`), one that tells (`page`), and a
template of its page. The modules are imported when they run, so that listing costs nothing.
"""

from equivariance.experiments.autoencoder.settings import (
    AutoencoderSettings as AutoencoderSettings,
)
from equivariance.experiments.boundary.settings import BoundarySettings as BoundarySettings
from equivariance.experiments.commute.settings import CommuteSettings as CommuteSettings
from equivariance.experiments.everything import Everything as Everything
from equivariance.experiments.experiment import Experiment as Experiment
from equivariance.experiments.experiment import Outcome as Outcome
from equivariance.experiments.invariance.settings import InvarianceSettings as InvarianceSettings
from equivariance.experiments.local.settings import LocalSettings as LocalSettings
from equivariance.experiments.model.settings import ModelSettings as ModelSettings
from equivariance.experiments.nonlinearity.settings import (
    NonlinearitySettings as NonlinearitySettings,
)
from equivariance.experiments.resolution.settings import (
    ResolutionSettings as ResolutionSettings,
)
from equivariance.experiments.stride.settings import StrideSettings as StrideSettings
from equivariance.experiments.subsampling.settings import (
    SubsamplingSettings as SubsamplingSettings,
)
from equivariance.experiments.weight_sharing.settings import (
    WeightSharingSettings as WeightSharingSettings,
)

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in [
        Experiment(
            "stride",
            "what a stride does to translation equivariance, and what mends it",
            StrideSettings(),
            "equivariance.experiments.stride",
        ),
        Experiment(
            "subsampling",
            "every kind of subsampling, at translations of every kind, on fields of several bands",
            SubsamplingSettings(),
            "equivariance.experiments.subsampling",
        ),
        Experiment(
            "autoencoder",
            "what equivariant subsampling buys an autoencoder at positions that it never saw",
            AutoencoderSettings(),
            "equivariance.experiments.autoencoder",
        ),
        Experiment(
            "model",
            "where a residual network breaks, whether strides or borders do it, and what would mend it",
            ModelSettings(),
            "equivariance.experiments.model",
        ),
        Experiment(
            "resolution",
            "how fine a grid has to be: errors against spacing, measured and foretold from the spectrum",
            ResolutionSettings(),
            "equivariance.experiments.resolution",
        ),
        Experiment(
            "weight-sharing",
            "to commute with translations is to share weights: all maps that do, found without assuming it",
            WeightSharingSettings(),
            "equivariance.experiments.weight_sharing",
        ),
        Experiment(
            "commute",
            "both ways round the diagram for every layer: on fields, on samples, sampled before or after",
            CommuteSettings(),
            "equivariance.experiments.commute",
        ),
        Experiment(
            "local",
            "parts that move independently: when a layer notices that there are two",
            LocalSettings(),
            "equivariance.experiments.local",
        ),
        Experiment(
            "nonlinearity",
            "how much of a band limit each activation breaks, and what over-sampling it buys",
            NonlinearitySettings(),
            "equivariance.experiments.nonlinearity",
        ),
        Experiment(
            "invariance",
            "which invariants survive: global pooling behind every kind of subsampling",
            InvarianceSettings(),
            "equivariance.experiments.invariance",
        ),
        Experiment(
            "boundary",
            "torus against windows: what enters and leaves, and how far each padding is felt",
            BoundarySettings(),
            "equivariance.experiments.boundary",
        ),
    ]
}

#: What `equivariance run` takes: each experiment, and all of them.
RUNNABLE: dict[str, Experiment | Everything] = {**EXPERIMENTS, "all": Everything(EXPERIMENTS)}
