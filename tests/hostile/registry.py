"""Every public callable with arguments that are right: hostile ones take their places."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

import discretize as dz
import equivariance as eq
import fields as ff
import layers as ly
from discretize import Grid, Samples
from fields import Field
from tests.hostile.law import used

EYE = np.array([[1.0, 0.5], [-0.5, 1.0]])
CENTERS = np.array([[0.5, 0.2], [-0.3, 0.4], [0.1, 0.9]])
AMPLITUDES = np.array([[1.0, -2.0], [0.5, 0.5], [2.0, 1.0]])
SIZES = np.array([0.8, 0.6, 1.1])
VALUES = np.linspace(-1.0, 1.0, 48).reshape(2, 6, 4)
POINTS = np.array([[0.1, 0.2], [0.7, -0.4]])
GRID = Grid((6, 4), 0.5)
WAVES = ff.PlaneWaves([[1 / 3, 0.0], [0.0, 0.5]], np.array([[1.0, 0.5], [0.3, 1.0]]), (3.0, 2.0))
BLOBS = ff.Gaussians(CENTERS, AMPLITUDES, SIZES)
CURVED = WAVES.map(torch.tanh)
SAMPLES = Samples(VALUES, GRID)
BATCHED = Samples(np.stack([VALUES, 2 * VALUES]), GRID)
KERNEL = ff.GaussianKernel(0.4, EYE)
CIRCULANT = eq.convolution_matrix(np.ones((3, 1, 1)), (4,))


@dataclass(frozen=True)
class Entry:
    """A public callable.

    Attributes
    ----------
    good : dict
        Arguments that are right, by name.
    use : callable
        What is done with the result before it is looked at.
    slow : bool
        Whether a call takes so long that fewer examples must do.
    """

    name: str
    call: Callable[..., Any]
    good: dict[str, Any]
    use: Callable[[Any], Any] = used
    slow: bool = False

    def __str__(self) -> str:
        return self.name


def _relu(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x)


def _one(y: torch.Tensor) -> torch.Tensor:
    return torch.ones(*y.shape[:-1], 2, 2, dtype=y.dtype)


def _density(f: torch.Tensor) -> torch.Tensor:
    return torch.exp(-(f**2).sum(-1))


def _kappa(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.cos(x - y).sum(-1)[..., None, None] * torch.ones(2, 2, dtype=x.dtype)


def _at(x: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return value + torch.sin(x.sum(-1, keepdim=True))


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Conv2d(2, 3, 3, padding=1).double().requires_grad_(False)


def _tiny_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.MaxPool2d(2)).requires_grad_(False)


def _asserted(**arguments: Any) -> None:
    with contextlib.suppress(AssertionError):  # that is what it is for
        eq.assert_equivariant(**arguments)


TERMS = {"centers": CENTERS, "amplitudes": AMPLITUDES}

FIELDS = [
    Entry("Constant", ff.Constant, {"value": [1.0, 2.0], "dim": 2}),
    Entry("Gaussians", ff.Gaussians, {**TERMS, "widths": SIZES}),
    Entry(
        "Gabors",
        ff.Gabors,
        {**TERMS, "widths": np.stack([SIZES] * 2, 1), "frequencies": CENTERS},
    ),
    Entry("Bumps", ff.Bumps, {**TERMS, "radii": SIZES}),
    Entry("Balls", ff.Balls, {**TERMS, "radii": SIZES}),
    Entry("Boxes", ff.Boxes, {**TERMS, "sides": SIZES}),
    Entry(
        "Sprites",
        ff.Sprites,
        {**TERMS, "shape": "heart", "scales": SIZES, "orientations": SIZES, "width": 0.1},
    ),
    Entry(
        "PlaneWaves",
        ff.PlaneWaves,
        {"frequencies": [[0.5, 0.0], [0.0, 1.0]], "amplitudes": EYE, "period": (2.0, 1.0)},
    ),
    Entry(
        "Polynomial",
        ff.Polynomial,
        {"exponents": [[0, 1], [2, 0]], "coefficients": EYE},
    ),
    Entry(
        "Formula",
        ff.Formula,
        {"fn": torch.sin, "dim": 2, "channels": 2, "bandlimit": 0.5, "period": 6.0}
        | {"dtype": torch.float64, "device": "cpu"},
    ),
    Entry(
        "Interpolated",
        ff.Interpolated,
        {"values": VALUES, "spacing": (0.5, 0.5), "origin": (0.1, 0.2), "method": "cubic"}
        | {"boundary": "zero", "eps": 1e-6},
    ),
    Entry(
        "Interpolated, Fourier",
        ff.Interpolated,
        {"values": VALUES, "spacing": (0.5, 0.5), "origin": (0.1, 0.2), "eps": 1e-6},
    ),
    Entry(
        "Interpolated.from_xarray",
        ff.Interpolated.from_xarray,
        {"array": SAMPLES.to_xarray(), "dims": ("x1", "x2"), "channel": "channel"}
        | {"memory": 1 << 20, "method": "linear"},
    ),
    Entry(
        "random_bandlimited",
        ff.random_bandlimited,
        {"dim": 2, "channels": 1, "bandlimit": 0.5, "period": (4.0, 3.0), "seed": 0}
        | {"dtype": torch.float64},
    ),
    Entry(
        "random_gaussian",
        ff.random_gaussian,
        {"dim": 2, "channels": 1, "spectrum": _density, "bandlimit": 0.5, "period": (4.0, 3.0)}
        | {"seed": 0, "dtype": torch.float64},
    ),
    Entry(
        "local_translation",
        ff.local_translation,
        {"parts": [BLOBS, WAVES], "translations": [[0.1, 0.2], [0.3, 0.4]]},
    ),
    Entry("stack", ff.stack, {"maps": [BLOBS, WAVES]}),
    Entry(
        "Atoms", ff.Atoms, {"offsets": 0.5 * np.eye(2), "weights": np.ones((2, 2, 2)), "groups": 1}
    ),
    Entry(
        "Atoms.from_array",
        ff.Atoms.from_array,
        {"array": np.ones((3, 1, 2, 2)), "spacing": (0.5, 0.5), "groups": 1},
    ),
    Entry(
        "BasisKernel",
        ff.BasisKernel,
        {"basis": [ff.BoxKernel(1.0, [[1.0]])], "coefficients": EYE[None]},
    ),
    Entry("BSplineKernel", ff.BSplineKernel, {"spacing": (0.5, 0.5), "matrix": EYE, "order": 3}),
    Entry("BallKernel", ff.BallKernel, {"radius": 0.7, "matrix": EYE}),
    Entry("BoxKernel", ff.BoxKernel, {"sides": (0.7, 0.9), "matrix": EYE}),
    Entry("BumpKernel", ff.BumpKernel, {"radius": 0.7, "matrix": EYE}),
    Entry(
        "FieldKernel",
        ff.FieldKernel,
        {"field": ff.Bumps([[0.1, 0.2]], [[1.0]], [0.6]), "matrix": EYE},
    ),
    Entry("GaussianKernel", ff.GaussianKernel, {"width": (0.3, 0.2), "matrix": EYE}),
    Entry(
        "Kernel", ff.Kernel, {"density": _one, "out_channels": 2, "in_channels": 2, "radius": 0.6}
    ),
    Entry(
        "mlp_kernel",
        ff.mlp_kernel,
        {"dim": 2, "out_channels": 1, "in_channels": 2, "radius": 0.6, "hidden": (3,)}
        | {"frequency": 4.0, "seed": 0, "dtype": torch.float64},
    ),
    Entry(
        "PeriodicKernel",
        lambda **a: WAVES.convolve(ff.PeriodicKernel(**a)),
        {"values": np.ones((3, 5, 2, 2)), "period": (3.0, 2.0)},
    ),
    Entry(
        "PeriodicKernel.from_density",
        lambda **a: WAVES.convolve(ff.PeriodicKernel.from_density(**a)),
        {"density": _one, "period": (3.0, 2.0), "shape": (3, 5), "dim": 2},
    ),
    Entry(
        "PeriodicKernel.from_transfer",
        lambda **a: WAVES.convolve(ff.PeriodicKernel.from_transfer(**a)),
        {"transfer": np.ones((3, 5, 2, 2)), "period": (3.0, 2.0)},
    ),
    Entry("Ball", ff.Ball, {"radius": 0.7}),
    Entry("Box", ff.Box, {"sides": (0.7, 0.9)}),
    Entry("Mask", ff.Mask, {"mask": np.ones((2, 3)), "spacing": (0.5, 0.5)}),
    Entry("power_mean", lambda p: SAMPLES.pool(ff.Box(1.0), ff.power_mean(p)), {"p": 2.0}),
    Entry(
        "soft_maximum",
        lambda temperature: SAMPLES.pool(ff.Box(1.0), ff.soft_maximum(temperature)),
        {"temperature": [0.5, 0.2]},
    ),
    Entry("Field.__call__", BLOBS, {"x": POINTS}),
    Entry("Field.gradient", BLOBS.gradient, {"x": POINTS}),
    Entry("Field.translate", BLOBS.translate, {"t": [0.1, 0.2]}),
    Entry("Field.map", BLOBS.map, {"fn": _relu}),
    Entry("Field.mix", BLOBS.mix, {"matrix": EYE}),
    Entry("Field.stride", BLOBS.stride, {"s": (2, 1)}),
    Entry("Field.convolve", BLOBS.convolve, {"kernel": KERNEL, "nodes": 2, "exact": False}),
    Entry("Field.pool", BLOBS.pool, {"window": ff.Ball(0.5), "kind": "max", "nodes": 2}),
    Entry("Field.__add__", BLOBS.__add__, {"other": np.ones(2)}),
    Entry("Field.__mul__", BLOBS.__mul__, {"other": BLOBS}),
    Entry("Field.__sub__", BLOBS.__sub__, {"other": 2.0}),
    Entry("Field.periodize", BLOBS.periodize, {"period": (8.0, 7.0)}),
    Entry("Field.to", BLOBS.to, {"dtype": torch.float32}),
    Entry("Field.is_periodic", WAVES.is_periodic, {"period": (3.0, 2.0)}),
    Entry("Field.integrate", CURVED.integrate, {"rtol": 1e-2, "memory": 1 << 24}),
    Entry("Field.inner", CURVED.inner, {"other": WAVES, "rtol": 1e-2, "memory": 1 << 24}),
    Entry("Field.norm", CURVED.norm, {"rtol": 1e-2, "memory": 1 << 24}),
    Entry(
        "Field.transform",
        CURVED.transform,
        {"frequencies": np.zeros((1, 2)), "rtol": 1e-2, "memory": 1 << 24},
    ),
    Entry("Field.resolve", CURVED.resolve, {"rtol": 1e-1, "memory": 1 << 24}),
    Entry("Field.support", BLOBS.support, {"rtol": 1e-3}),
    Entry("Field.bandwidth", BLOBS.bandwidth, {"rtol": 1e-3}),
]

DISCRETIZE = [
    Entry(
        "Grid",
        Grid,
        {"shape": (6, 4), "spacing": (0.5, 0.5), "origin": (0.1, 0.2), "boundary": "zero"},
    ),
    Entry("Grid.translate", GRID.translate, {"t": [0.1, 0.2]}),
    Entry("Grid.stride", GRID.stride, {"s": (2, 2), "phase": (0, 1)}),
    Entry("Grid.refine", GRID.refine, {"m": (2, 3)}),
    Entry("Grid.dilate", GRID.dilate, {"n": (2, 3)}),
    Entry(
        "Grid.replace",
        GRID.replace,
        {"shape": (6, 4), "spacing": 0.5, "origin": 0.0, "boundary": "none"},
    ),
    Entry("Grid.steps_to", GRID.steps_to, {"other": GRID.translate([0.5, 0.0])}),
    Entry("Grid.coincides", GRID.coincides, {"other": GRID.translate([0.5, 0.0])}),
    Entry("Grid.offset", GRID.offset, {"other": GRID.translate([0.5, 0.0])}),
    Entry("Grid.offset_tolerance", GRID.offset_tolerance, {"other": GRID.translate([0.5, 0.0])}),
    Entry("Grid.nearest_steps", GRID.nearest_steps, {"other": GRID.translate([0.5, 0.0])}),
    Entry("Samples", Samples, {"values": VALUES, "grid": GRID, "accuracy": 1e-3}),
    Entry("Samples.translate", SAMPLES.translate, {"t": [0.1, 0.2]}),
    Entry("Samples.map", SAMPLES.map, {"fn": _relu}),
    Entry("Samples.mix", SAMPLES.mix, {"matrix": EYE}),
    Entry("Samples.to", SAMPLES.to, {"dtype": torch.float32}),
    Entry("Samples.stride", SAMPLES.stride, {"s": (2, 1)}),
    Entry("Samples.convolve", SAMPLES.convolve, {"kernel": KERNEL, "nodes": 2, "exact": False}),
    Entry("Samples.pool", SAMPLES.pool, {"window": ff.Ball(0.5), "kind": "max", "nodes": 2}),
    Entry("Samples.__add__", SAMPLES.__add__, {"other": np.ones(2)}),
    Entry("Samples.__mul__", SAMPLES.__mul__, {"other": SAMPLES}),
    Entry("Samples.__sub__", SAMPLES.__sub__, {"other": WAVES}),
    Entry("Samples.crop", SAMPLES.crop, {"first": (1, 0), "count": (2, 2)}),
    Entry("Samples.interpolate", SAMPLES.interpolate, {"method": "linear"}),
    Entry(
        "Samples.resample",
        SAMPLES.resample,
        {"grid": GRID.translate([0.1, 0.2]), "method": "linear"},
    ),
    Entry("Samples.to_xarray", SAMPLES.to_xarray, {"name": "f", "units": "K", "length_units": "m"}),
    Entry(
        "Samples.from_xarray",
        Samples.from_xarray,
        {
            "array": SAMPLES.to_xarray(),
            "space": ("x1", "x2"),
            "channel": "channel",
            "boundary": "zero",
        },
    ),
    Entry(
        "sample",
        dz.sample,
        {"field": CURVED, "grid": GRID, "rtol": 1e-3, "prefilter": "box", "memory": 1 << 24},
    ),
    Entry("sample, refined", dz.sample, {"field": CURVED, "grid": GRID, "refinement": 2}),
    Entry(
        "aliasing", dz.aliasing, {"field": CURVED, "grid": GRID, "rtol": 1e-2, "memory": 1 << 24}
    ),
    Entry("required_grid", dz.required_grid, {"field": CURVED, "rtol": 1e-1, "memory": 1 << 24}),
    Entry(
        "comoving_grid", dz.comoving_grid, {"feature_map": SAMPLES, "stride": 2, "predictor": None}
    ),
    Entry(
        "Prefilter",
        lambda **a: dz.sample(WAVES, GRID, prefilter=dz.Prefilter(**a)),
        {"kind": "bspline", "order": 2, "width": 0.5},
    ),
    Entry("Stride", dz.Stride, {"s": (2, 2)}),
    Entry("BlurPool", dz.BlurPool, {"s": (2, 2), "taps": 3, "spacing": (0.5, 0.5)}),
    Entry("IdealLowpass", dz.IdealLowpass, {"s": (2, 2), "spacing": (0.5, 0.5)}),
    Entry("AveragePooling", dz.AveragePooling, {"s": (2, 2), "size": 3, "spacing": (0.5, 0.5)}),
    Entry("MaxPooling", dz.MaxPooling, {"s": (2, 2), "size": 3, "spacing": (0.5, 0.5)}),
    Entry("AdaptivePolyphase", dz.AdaptivePolyphase, {"s": (2, 2), "norm": 2.0, "taps": 2}),
    Entry(
        "LearnablePolyphase",
        dz.LearnablePolyphase,
        {"s": (2, 2), "channels": 2, "dim": 2, "hidden": 4, "temperature": 1.0, "seed": 0}
        | {"dtype": torch.float64},
    ),
    Entry("EquivariantSubsampling", dz.EquivariantSubsampling, {"s": (2, 2), "index_map": None}),
    Entry(
        "EquivariantChain",
        dz.EquivariantChain,
        {"stages": [nn.Identity(), nn.Identity()], "strides": [2, 1], "index_map": None},
    ),
    Entry(
        "Peak",
        lambda **a: dz.EquivariantSubsampling(2, dz.Peak(**a)),
        {"centred": True, "box": 3, "sigma": 0.5},
    ),
    Entry("ComovingSubsampling", dz.ComovingSubsampling, {"s": (2, 2), "predictor": None}),
    Entry("AliasFreeActivation", dz.AliasFreeActivation, {"fn": _relu, "oversampling": 2}),
    Entry("CNOActivation", dz.CNOActivation, {"s": 1, "fn": _relu, "up": 2}),
    Entry(
        "FilteredLeakyReLU",
        dz.FilteredLeakyReLU,
        {"up": 2, "down": 2, "cutoff": 0.25, "stopband": 0.3, "taps": 6, "slope": 0.2, "gain": 1.4}
        | {"clamp": 256.0, "radial": False},
    ),
    Entry(
        "PolynomialActivation",
        lambda **a: ly.Pointwise(dz.PolynomialActivation(**a)),
        {"coefficients": [0.1, 0.5, 0.3]},
    ),
    Entry("Upsampling", dz.Upsampling, {"s": (2, 2), "fill": "blur", "taps": 4}),
]

LAYERS = [
    Entry("Conv", ly.Conv, {"kernel": KERNEL, "nodes": 2, "exact": False, "bias": np.ones(2)}),
    Entry(
        "Conv.from_array",
        ly.Conv.from_array,
        {"array": np.ones((3, 1, 2, 2)), "spacing": (0.5, 0.5), "groups": 1, "bias": np.ones(2)},
    ),
    Entry("Conv.from_torch", ly.Conv.from_torch, {"module": _model(), "spacing": (0.5, 0.5)}),
    Entry("Bias", ly.Bias, {"bias": np.ones(2)}),
    Entry("Pointwise", ly.Pointwise, {"fn": _relu}),
    Entry("AvgPool", ly.AvgPool, {"window": ff.Ball(0.6), "nodes": 2}),
    Entry("MaxPool", ly.MaxPool, {"window": ff.Ball(0.6), "nodes": 2}),
    Entry("LpPool", ly.LpPool, {"window": ff.Ball(0.6), "p": 2.0, "nodes": 2}),
    Entry(
        "SoftMaxPool",
        ly.SoftMaxPool,
        {"window": ff.Ball(0.6), "temperature": [0.5, 0.2], "nodes": 2},
    ),
    Entry("GlobalPool", ly.GlobalPool, {"kind": 2.0, "rtol": 1e-2, "memory": 1 << 24}),
    Entry(
        "GlobalPool, of a field",
        lambda **a: ly.GlobalPool(**a)(CURVED),
        {"kind": 2.0, "rtol": 1e-1, "memory": 1 << 24},
    ),
    Entry(
        "IntegralOperator",
        ly.IntegralOperator,
        {"kappa": _kappa, "period": (3.0, 2.0), "domain": None, "nodes": 4},
    ),
    Entry(
        "IntegralOperator, of a box",
        ly.IntegralOperator,
        {"kappa": _kappa, "domain": ((0.0, 0.0), (2.5, 1.5)), "nodes": 4},
    ),
    Entry("BiasField", ly.BiasField, {"field": WAVES}),
    Entry("PointwiseField", ly.PointwiseField, {"fn": _at, "period": (3.0, 2.0)}),
    Entry(
        "PoolField",
        ly.PoolField,
        {"window": lambda x: ff.Ball(0.6), "kind": "mean", "period": (3.0, 2.0), "nodes": 2},
    ),
    Entry(
        "shared",
        ly.shared,
        {"layer": ly.PointwiseField(_at, (3.0, 2.0)), "period": (3.0, 2.0), "nodes": 4},
    ),
    Entry(
        "TorchModel",
        lambda **a: ly.TorchModel(**a)(BATCHED),
        {"module": _model(), "stride": (1.0, 1.0), "offset": 0.0},
    ),
    Entry(
        "OnGrid",
        lambda **a: ly.OnGrid(**a)(torch.from_numpy(VALUES)),
        {"layer": ly.Bias(np.ones(2)), "grid": GRID},
    ),
    Entry(
        "OnGrid.__call__",
        ly.OnGrid(ly.Bias(np.ones(2)), GRID),
        {"values": torch.from_numpy(VALUES)},
    ),
    *(
        Entry(f"{layer} of anything", layer, {"f": SAMPLES})
        for layer in (
            ly.Bias(np.ones(2)),
            ly.Conv(KERNEL),
            ly.GlobalPool("max"),
            ly.Pointwise(_relu),
            dz.Stride(2),
            dz.IdealLowpass(2),
            dz.AdaptivePolyphase(2),
            dz.EquivariantSubsampling(2),
            dz.ComovingSubsampling(2),
            dz.AliasFreeActivation(_relu),
            dz.Upsampling(2),
            ly.TorchModel(_model()),
        )
    ),
]

EQUIVARIANCE = [
    Entry(
        "equivariance_error",
        eq.equivariance_error,
        {"layer": ly.Pointwise(_relu), "field": WAVES, "t": [[0.1, 0.2], [0.3, 0.1]], "grid": GRID}
        | {"norm": "l2", "rtol": 1e-3},
    ),
    Entry(
        "equivariance_error, at points",
        eq.equivariance_error,
        {"layer": ly.Pointwise(_relu), "field": WAVES, "t": [[0.1, 0.2]], "points": POINTS},
    ),
    Entry(
        "sweep",
        eq.sweep,
        {
            "layers": {"relu": ly.Pointwise(_relu)},
            "fields": {"waves": WAVES},
            "translations": [[0.1, 0.2]],
        }
        | {
            "grids": {"a": GRID, "b": None},
            "points": POINTS,
            "norm": "max",
            "rtol": 1e-3,
            "seed": 0,
        },
    ),
    Entry(
        "measure",
        eq.measure,
        {
            "module": _tiny_model(),
            "inputs": np.ones((1, 1, 8, 8)) + np.eye(8),
            "translations": [[1.0, 0.0]],
        }
        | {"layers": "output", "boundary": "periodic", "padding": "as is", "count": 3, "batch": 4}
        | {"probe": False, "dtype": torch.float64, "seed": 0},
        slow=True,
    ),
    Entry(
        "measure, of size",
        eq.measure,
        {
            "module": _tiny_model(),
            "size": (8, 8),
            "translations": [[1.0, 0.0]],
            "channels": 1,
            "limit": 1,
        }
        | {"count": 3, "probe": False},
        slow=True,
    ),
    Entry(
        "assert_equivariant",
        _asserted,
        {
            "module": nn.ReLU(),
            "inputs": np.ones((1, 1, 8, 8)) + np.eye(8),
            "translations": [[1.0, 0.0]],
        }
        | {"tolerance": 1e-3, "layers": "output", "padding": "as is"},
        slow=True,
    ),
    Entry(
        "lie_derivative",
        eq.lie_derivative,
        {
            "module": nn.Conv2d(1, 1, 3, padding=1),
            "inputs": np.ones((1, 1, 8, 8)) + np.eye(8),
            "layers": "output",
        },
        slow=True,
    ),
    Entry(
        "Comoving",
        lambda **a: eq.Comoving(**a)(BATCHED.values),
        {"module": _model(), "stride": 2, "moved_back": True, "predictor": None, "bound": None},
    ),
    Entry("Comoving.__call__", eq.Comoving(_model()), {"x": BATCHED.values}),
    Entry(
        "intertwiners",
        eq.intertwiners,
        {
            "shape": (4, 2),
            "c_in": 1,
            "c_out": 2,
            "stride": (2, 1),
            "output_stride": 1,
            "memory": 1 << 24,
        },
        lambda i: i.basis,
    ),
    Entry(
        "intertwiner_space",
        eq.intertwiner_space,
        {"inputs": [np.eye(2)], "outputs": [np.eye(2)], "memory": 1 << 24},
        lambda i: i.basis,
    ),
    Entry(
        "Intertwiners.combine", eq.intertwiners((4,), 1, 1).combine, {"coefficients": np.ones(4)}
    ),
    Entry("Intertwiners.project", eq.intertwiners((2,), 1, 1).project, {"matrix": EYE}),
    Entry("Intertwiners.residue", eq.intertwiners((2,), 1, 1).residue, {"matrix": EYE}),
    Entry(
        "biases", eq.biases, {"shape": (4, 2), "channels": 2, "stride": (2, 1)}, lambda i: i.basis
    ),
    Entry(
        "convolution_matrix",
        eq.convolution_matrix,
        {"kernel": np.ones((3, 3, 1, 2)), "shape": (4, 4), "output_stride": (2, 1)},
    ),
    Entry(
        "convolution_kernel",
        eq.convolution_kernel,
        {"matrix": CIRCULANT, "shape": (4,), "output_stride": 1},
    ),
    Entry(
        "coset_kernels",
        eq.coset_kernels,
        {"matrix": CIRCULANT, "shape": (4,), "stride": 2, "output_stride": 1},
    ),
    Entry(
        "coset_matrix",
        eq.coset_matrix,
        {"kernels": eq.coset_kernels(CIRCULANT, (4,), 2), "shape": (4,), "output_stride": 1},
    ),
    Entry(
        "is_convolution",
        eq.is_convolution,
        {"matrix": CIRCULANT, "shape": (4,), "output_stride": 1},
    ),
    Entry(
        "translation_matrix", eq.translation_matrix, {"shape": (4, 2), "channels": 2, "t": (1, 1)}
    ),
    Entry(
        "commutation",
        eq.commutation,
        {
            "layer": ly.Conv(ff.Atoms([[0.0]], EYE[None])),
            "grid": Grid(4, 1.0),
            "channels": 2,
            "dtype": torch.float64,
        },
    ),
    Entry(
        "impulse_responses",
        eq.impulse_responses,
        {
            "layer": ly.Conv(ff.Atoms([[0.0]], EYE[None])),
            "grid": Grid(4, 1.0),
            "channels": 2,
            "dtype": torch.float64,
        },
    ),
    Entry(
        "parameter_counts",
        eq.parameter_counts,
        {"shape": (4, 4), "c_in": 1, "c_out": 2, "kernel": (3, 3), "stride": 1, "bias": True},
    ),
    Entry("polyphase", eq.polyphase, {"f": SAMPLES, "s": (2, 2)}),
    Entry("polyphase_action", eq.polyphase_action, {"s": (2, 2), "t": (1, 3)}),
    Entry(
        "shared_nonlinearity",
        eq.shared_nonlinearity,
        {
            "layer": ly.Pointwise(_relu),
            "grid": Grid(4, 1.0),
            "values": [[-1.0], [0.0], [1.0]],
            "seed": 0,
        },
        lambda s: (s.part, s.residue),
    ),
    Entry(
        "shared_window",
        eq.shared_window,
        {"layer": ly.AvgPool(ff.Box(3.0)), "grid": Grid(4, 1.0), "seed": 0, "dtype": torch.float64},
        lambda s: (s.part, s.residue),
    ),
    Entry(
        "judge",
        eq.judge,
        {
            "sweep": eq.sweep(
                {"relu": ly.Pointwise(_relu)},
                {"waves": WAVES},
                [[0.5, 0.0], [0.0, 0.5], [0.1, 0.2]],
                {"a": GRID},
            ),
            "stride": 1,
            "spacing": 0.5,
            "dtype": "float64",
        },
    ),
    Entry("provenance", eq.provenance, {"configuration": {"seed": 0}, "command": "run"}),
]

#: Public names without an entry of their own, and why.
REASONS = {
    "fields": {
        "Aggregate": "a record of functions, made by power_mean and soft_maximum",
        "FeatureMap": "abstract: Field and Samples are tried",
        "Field": "abstract: its methods are tried",
        "MatrixKernel": "abstract",
        "Window": "abstract",
        "LatticeTooLarge": "an error",
    },
    "discretize": {
        "Aliasing": "a record that `aliasing` returns",
        "AliasingWarning": "a warning",
        "LowConfidence": "a warning",
        "NotResolved": "an error",
        "PolyphaseSubsampling": "abstract: AdaptivePolyphase and others are tried",
        "Subsampling": "abstract: Stride and others are tried",
    },
    "layers": {},
    "equivariance": {
        "EXPERIMENTS": "a table, no callable",
        "Intertwiners": "a record that `intertwiners` returns; its methods are tried",
        "LowConfidence": "a warning",
        "Shared": "a record that `shared_window` returns",
    },
}
ENTRIES = {
    "fields": FIELDS,
    "discretize": DISCRETIZE,
    "layers": LAYERS,
    "equivariance": EQUIVARIANCE,
}

__all__ = ["ENTRIES", "REASONS", "Entry", "Field"]
