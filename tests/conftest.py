import os
from collections.abc import Iterator

import hypothesis
import pytest
import torch

from tests import cases, compare

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
    parser.addoption(
        "--cases",
        choices=cases.CHOICES,
        default="all",
        help="of each test: all cases, so many that each value of each parameter is tried, or one; see tests/cases.py",
    )
    parser.addoption(
        "--tolerances",
        action="store_true",
        help="say for every line that compares what it reached beside what it allows, the loosest first",
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of what -k and names select, those that `--cases` keeps."""
    chosen = cases.kept(items, config.getoption("--cases"))
    among = {item.nodeid for item in chosen}
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in among])
    items[:] = chosen


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Weights that torch draws for its modules are the same whatever ran before; notes what comparisons reached."""
    torch.manual_seed(0)
    compare.REACHED.clear()
    yield
    if item.config.getoption("--tolerances"):
        item.user_properties.append(("reached", list(map(list, compare.REACHED))))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What `--tolerances` asks for: of each line the comparison that came closest to its bound."""
    closest: dict[str, compare.Reached] = {}
    for report in terminalreporter.getreports("passed"):
        for reached in dict(report.user_properties).get("reached", ()):
            here = compare.Reached(*reached)
            if here.where not in closest or here.share > closest[here.where].share:
                closest[here.where] = here
    for here in sorted(closest.values(), key=lambda r: r.share):
        terminalreporter.write_line(
            f"{here.where}: {here.error:.1e} of {here.bound:.1e} ({here.share:.1e})"
        )
