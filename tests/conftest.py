import os

import hypothesis
import pytest
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


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--device",
        action="append",
        default=[],
        help="where tests with the fixture `device` run: cpu unless given, and cuda; may be repeated",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each device that was asked for: no machine shows skips for what nobody asked of it."""
    if "device" in metafunc.fixturenames:
        asked = (
            metafunc.config.getoption("--device") or os.environ.get("TEST_DEVICES", "cpu").split()
        )
        metafunc.parametrize("device", asked, indirect=True)


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    """Where to compute; skipped with the reason where it was asked for and isn't there."""
    asked = torch.device(request.param)
    if asked.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("torch sees no CUDA device here")
    return asked
