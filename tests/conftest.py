import hypothesis
import torch

torch.set_num_threads(1)  # the tensors here are small, and threads wait for each other

hypothesis.settings.register_profile(
    "suite",
    deadline=None,  # no test is timed
    derandomize=True,  # the same examples on every run
    max_examples=60,
    database=None,
)
hypothesis.settings.load_profile("suite")
