"""The benchmark for CUDA devices: refuses in words where there is none, and its code runs on the processor."""

import pytest
import torch

from benchmarks import gpu


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_no_device_is_said(capsys) -> None:
    assert gpu.main([]) == 2
    assert "no CUDA device" in capsys.readouterr().err


@pytest.mark.parametrize("dtype", gpu.DTYPES)
def test_the_code_runs_on_the_processor(capsys, dtype: str) -> None:
    assert gpu.main(["--device", "cpu", "--size", "16", "--dtype", dtype]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:22].strip() for line in lines[3:]] == [
        "convolution 3×3",
        "Gaussians on a grid",
        "stride 2",
        "Comoving",
    ]


def test_sizes(capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        gpu.main(["--size", "1"])
    assert ended.value.code == 2
    assert "at least 8" in capsys.readouterr().err
