"""The experiments that the command line knows: a question each, with settings and a way to answer it.

An experiment is one module of its name with a study that measures and tells, a frozen dataclass of settings in
`layer_settings` or `model_settings`, a template of its page, and an entry here. The studies are imported when they run,
so that listing and `--help` cost nothing.
"""

from equivariance.experiments.experiment import Everything as Everything
from equivariance.experiments.experiment import Experiment as Experiment
from equivariance.experiments.experiment import Outcome as Outcome
from equivariance.experiments.layer_settings import CommuteSettings as CommuteSettings
from equivariance.experiments.layer_settings import InvarianceSettings as InvarianceSettings
from equivariance.experiments.layer_settings import NonlinearitySettings as NonlinearitySettings
from equivariance.experiments.layer_settings import StrideSettings as StrideSettings
from equivariance.experiments.layer_settings import SubsamplingSettings as SubsamplingSettings
from equivariance.experiments.layer_settings import WeightSharingSettings as WeightSharingSettings
from equivariance.experiments.model_settings import AutoencoderSettings as AutoencoderSettings
from equivariance.experiments.model_settings import BoundarySettings as BoundarySettings
from equivariance.experiments.model_settings import LocalSettings as LocalSettings
from equivariance.experiments.model_settings import ModelSettings as ModelSettings
from equivariance.experiments.model_settings import ResolutionSettings as ResolutionSettings

EXPERIMENTS = {
    e.name: e
    for e in (
        Experiment(
            "stride",
            "what a stride does to translation equivariance, and what mends it",
            StrideSettings(),
        ),
        Experiment(
            "subsampling",
            "every kind of subsampling, at translations of every kind, on fields of several bands",
            SubsamplingSettings(),
        ),
        Experiment(
            "autoencoder",
            "what equivariant subsampling buys an autoencoder at positions that it never saw",
            AutoencoderSettings(),
        ),
        Experiment(
            "model",
            "where a residual network breaks, whether strides or borders do it, and what would mend it",
            ModelSettings(),
        ),
        Experiment(
            "resolution",
            "how fine a grid has to be: errors against spacing, measured and foretold from the spectrum",
            ResolutionSettings(),
        ),
        Experiment(
            "weight-sharing",
            "to commute with translations is to share weights: all maps that do, found without assuming it",
            WeightSharingSettings(),
        ),
        Experiment(
            "commute",
            "both ways round the diagram for every layer: on fields, on samples, sampled before or after",
            CommuteSettings(),
        ),
        Experiment(
            "local",
            "parts that move independently: when a layer notices that there are two",
            LocalSettings(),
        ),
        Experiment(
            "nonlinearity",
            "how much of a band limit each activation breaks, and what over-sampling it buys",
            NonlinearitySettings(),
        ),
        Experiment(
            "invariance",
            "which invariants survive: global pooling behind every kind of subsampling",
            InvarianceSettings(),
        ),
        Experiment(
            "boundary",
            "torus against windows: what enters and leaves, and how far each padding is felt",
            BoundarySettings(),
        ),
    )
}

#: What `equivariance run` takes: each experiment, and all of them.
RUNNABLE: dict[str, Experiment | Everything] = {**EXPERIMENTS, "all": Everything(EXPERIMENTS)}
