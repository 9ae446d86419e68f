"""Local pooling over one window, shared by all points: averages, maxima, and what lies between them.

    LpPool(window, p)                    p = 1: mean |F|           p → ∞: max |F|
    SoftMaxPool(window, temperature)     T → ∞: mean F             T → 0: max F

On Samples the window's nodes are those of the grid. On a Field they lie about `nodes` to a half-width, fixed in the
window's frame; `sample` refines them until a tolerance is met.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from torch import Tensor, nn

from fields import Aggregate, FeatureMap, Window, power_mean
from fields.accuracy import MOST_NODES, NODES
from fields.algebra.local import check_window
from fields.checks import integers
from fields.commuting import Commutes
from fields.dtypes import Weak
from fields.kernels.aggregation import MAX, MEAN, at_temperature, checked_temperature
from layers.inputs import check_feature_map

Map = TypeVar("Map", bound=FeatureMap)


class _Pool(nn.Module, ABC):
    """Pooling over a window."""

    commutes_with = Commutes.WHOLE

    def __init__(self, window: Window, nodes: int) -> None:
        super().__init__()
        check_window(window)
        (self.nodes,) = integers(nodes, 1, "nodes", most=MOST_NODES)
        self.window = window

    @property
    @abstractmethod
    def aggregate(self) -> Aggregate:
        """What is made of the values in the window."""

    def forward(self, f: Map) -> Map:
        """Pool a Field or Samples."""
        check_feature_map(f)
        return f.pool(self.window, self.aggregate, self.nodes)

    def extra_repr(self) -> str:
        """The window."""
        return repr(self.window)


class AvgPool(_Pool):
    """x ↦ mean of F(x − y) over y in one window for all points.

    Parameters
    ----------
    window : Ball, Box or Mask
        In length units: k samples of spacing h are Box(k·h).
    nodes : int
        Quadrature nodes per half-width on a Field, as for `Conv`.

    Notes
    -----
    Second order in the spacing of the nodes: each counts with the share of the window in its cell.

    Examples
    --------
    >>> from fields import Box, Polynomial
    >>> from layers import AvgPool
    >>> square = Polynomial([[2]], [[1.0]])
    >>> round(float(AvgPool(Box(1.0), nodes=64)(square)([0.0])), 4)  # 1/12
    0.0833
    """

    commutes_with = Commutes.REAL

    def __init__(self, window: Window, nodes: int = NODES) -> None:
        super().__init__(window, nodes)

    @property
    def aggregate(self) -> Aggregate:
        """The mean."""
        return MEAN


class MaxPool(_Pool):
    """x ↦ maximum of F(x − y) over y in one window for all points.

    Parameters
    ----------
    window : Ball, Box or Mask
        In length units: k samples of spacing h are Box(k·h).
    nodes : int
        Nodes per half-width on a Field, as for `Conv`.

    Notes
    -----
    On Samples: the largest of the samples in the closed window (a box of k spacings holds k). Against the field that
    was sampled it is of first order in the spacing h, and never above: the samples next to the rim may miss it by h,
    and with it the slope times h.

    On a Field: the largest of the nodes in the closed window and of the values, interpolated linearly between two
    nodes, where the lines of their lattice cross its rim (`stencils.maxima`). Second order in the spacing of the nodes
    for a smooth field; for one with kinks or after another maximum, first. On a mask: exact.

    Examples
    --------
    >>> from fields import Box, PlaneWaves
    >>> from layers import MaxPool
    >>> MaxPool(Box(1.0))(PlaneWaves([[0.25]], [[1.0]]))([0.25]).tolist()
    [1.0]
    """

    def __init__(self, window: Window, nodes: int = NODES) -> None:
        super().__init__(window, nodes)

    @property
    def aggregate(self) -> Aggregate:
        """The maximum."""
        return MAX


class LpPool(_Pool):
    """x ↦ (mean of |F(x − y)|^p)^{1/p} over y in one window for all points.

    Parameters
    ----------
    window : Ball, Box or Mask
        In length units: k samples of spacing h are Box(k·h).
    p : float
        1 ≤ p < ∞.
    nodes : int
        Nodes per half-width on a Field, as for `Conv`. Second order in their spacing for smooth |F|^p.

    Notes
    -----
    torch's `lp_pool2d` sums instead of averaging, and keeps the sign of odd powers: for even p it is this layer times
    (number of samples)^{1/p}. Powers are taken relative to the largest |F| in the window, so that none overflows. The
    gradient where the whole window is zero is 0.

    Examples
    --------
    >>> from fields import Box, PlaneWaves
    >>> from layers import LpPool
    >>> root = LpPool(Box(4.0), p=2)(PlaneWaves([[0.25]], [[1.0]]))  # over one period
    >>> round(float(root([0.3])), 6)
    0.707107
    """

    def __init__(self, window: Window, p: float, nodes: int = NODES) -> None:
        super().__init__(window, nodes)
        self._aggregate, self.p = power_mean(p), float(p)

    @property
    def aggregate(self) -> Aggregate:
        """The power mean."""
        return self._aggregate

    def extra_repr(self) -> str:
        """Window and power."""
        return f"{self.window!r}, p={self.p:g}"


class SoftMaxPool(Weak, _Pool):
    """x ↦ T log of the mean of exp(F(x − y)/T) over y in one window for all points.

    Parameters
    ----------
    window : Ball, Box or Mask
        In length units: k samples of spacing h are Box(k·h).
    temperature : float or Tensor, shape () or (c,)
        T > 0, in the units of F. A number is fixed; a tensor, one number for all channels or one for each, is learnt.
    nodes : int
        Nodes per half-width on a Field, as for `Conv`. Second order in their spacing while F changes by less than T
        from one to the next; below that temperature it is a maximum over the nodes, of first order.

    Notes
    -----
    Between the mean (T → ∞) and the maximum (T → 0), increasing with 1/T, smooth in F: its gradient is the softmax of
    F/T over the window, weighted by the nodes' shares. Exponentials are taken relative to the largest value in the
    window, so that none overflows, and a large T costs no digits.

    Examples
    --------
    >>> from fields import Box, PlaneWaves
    >>> from layers import SoftMaxPool
    >>> wave = PlaneWaves([[0.25]], [[1.0]])
    >>> [round(float(SoftMaxPool(Box(4.0), t)(wave)([0.3])), 3) for t in (100.0, 1.0, 0.01)]
    [0.002, 0.236, 0.968]
    """

    def __init__(self, window: Window, temperature: Any, nodes: int = NODES) -> None:
        super().__init__(window, nodes)
        checked = checked_temperature(temperature)
        self.temperature: float | Tensor
        if isinstance(checked, Tensor):
            self._learn("temperature", checked, temperature)
        else:
            self.temperature = checked

    @property
    def aggregate(self) -> Aggregate:
        """The soft maximum at the present temperature."""
        return at_temperature(self.temperature, self._gives_way("temperature"))

    def extra_repr(self) -> str:
        """Window and temperature."""
        t = self.temperature
        return f"{self.window!r}, T={t.detach().tolist() if isinstance(t, Tensor) else t}"
