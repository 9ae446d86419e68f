# %% [markdown]
# # Where a residual network stops being translation equivariant
#
# **Question.** A network of ResNet-18's shape, written out below, sees 64 × 64 pixels. Which of its layers commute with
# which translations, and is it the strides or the borders that break it?
#
# **Prediction.** With circular padding, every map commutes exactly with multiples of its own stride (2, 4, 8, 16, 32
# pixels), and with nothing between: its samples alias. With the zero padding that it has, its borders add an error at
# the multiples too, from the first convolution on; away from the border there is none.

# %%
import time

from equivariance import assert_equivariant, measure
from equivariance.experiments.residual_network import resnet
from equivariance.measuring.border import shares
from equivariance.measuring.measured import findings

# %% [markdown]
# The network, as it is written for torch: it knows nothing of this library.
#
# ```{literalinclude} ../../equivariance/experiments/residual_network.py
# :start-at: class Block
# ```

# %% [markdown]
# **Run.** A random field with frequencies up to ¼ cycle per pixel, moved by 33 translations before it is sampled: whole
# and real ones.

# %%
RUN = __name__ in ("__main__", "<run_path>")  # and not where `equivariance measure` reads this file
if RUN:
    began = time.perf_counter()
    data = measure(resnet(), size=(64, 64), limit=1)
    taken = time.perf_counter() - began
    shown = ("conv1", "maxpool", "layer1", "layer2", "layer3", "layer4", "output")
    found = {p: {f.layer: f for f in findings(data, p)} for p in ("as is", "circular")}
    print(f"{data.sizes['layer']} outputs, {data.sizes['translation']} translations, {taken:.1f} s")
    print(
        "              circular: multiples  between    as is: multiples  interior   equivariant under"
    )
    for name in shown:
        ring, own = found["circular"][name], found["as is"][name]
        print(
            f"{name:>8}, stride {ring.stride_text:>2}:  {ring.worst[0]:9.1e}  {ring.worst[1]:7.2f} "
            f"           {own.worst[0]:9.2f}  {own.interior:8.1e}   {ring.subgroup}"
        )
    border = {s.layer: s for s in shares(data)}["layer2"]
    print(
        f"layer2: border {border.border:.2f} at multiples, aliasing {border.aliasing:.2f} between"
    )

# %% [markdown]
# **Verdict.** The same as a test: what `assert_equivariant` says of the strided shortcut.

# %%
if RUN:
    for name, layer in found["circular"].items():
        own = found["as is"][name]
        if layer.space == "periodic":
            assert layer.worst[0] == 0.0, f"{name} isn't exact at multiples of its stride"
            assert layer.verdict == "exact"
            assert layer.subgroup == " × ".join([f"{layer.stride_text}Z"] * 2)
            assert not max(layer.worst[1:]) <= 0.05, f"{name} doesn't alias"
            assert own.worst[0] > 0.05, f"{name} has no border"
            assert not own.interior > 0.0, f"{name} has an error away from the border"
    assert data.attrs["first_broken_multiples_circular"] == ""
    assert data.attrs["first_broken_multiples_as_is"] == "conv1"
    try:
        assert_equivariant(resnet().layer2[0].downsample, translations=[[1, 0]], size=(16, 16))
    except AssertionError as error:
        print(error)
    print("Strides break the whole pixels between their multiples; borders break the rest.")
