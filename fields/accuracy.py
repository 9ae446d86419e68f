"""Every tolerance and size of the package, each with its reason, by the file that uses it."""

import math

# --- algebra.closed_forms ---

#: Inner products of more pairs of terms have no closed form.
MOST_PAIRS = 10_000
#: Weights so large, or so small, in powers of two, meet their leaves before these are multiplied with each other.
EXTREME = 60
#: Rounding errors of a sum, in eps of the sum of the moduli.
ROUNDED = 4
#: How well, and in how much memory, the square of a sum is integrated whose terms cancel.
CANCELLED_RTOL, CANCELLED_MEMORY = 1e-3, 1 << 26

# --- algebra.decay ---

#: A field is nowhere where it is below this part of its maximum.
NOTHING = 1e-300
#: Sizes of values, as powers of ten, that a field's largest ones may have.
DECADES = (-3, 3)
#: Values that a function is looked at per decade.
PER_DECADE = 4
#: Tolerances that differ by less, relatively, are one.
SAME_VALUE = 1e-6
#: Tolerances per doubling of the number of decades that they stand for.
RUNGS = 4

# --- algebra.field_kernel ---

#: Points per axis of a cell whose mean no closed form is known of.
CELL_POINTS = 8

# --- algebra.linear_terms ---

#: Fields of more terms have no closed form.
MOST_TERMS = 1000

# --- algebra.periodized ---

#: No more images of a field may overlap.
MOST_IMAGES = 100_000
#: Inner products that need more images have no closed form, and so many are taken at once.
MOST_PAIRED_IMAGES, IMAGES_AT_ONCE = 4096, 64

# --- arguments ---

#: Sequences of fields, kernels and the like are no longer.
MOST_THINGS = 10_000
#: Numbers of channels, of nodes per radius, and of taps per axis are no larger.
MOST_CHANNELS, MOST_NODES, MOST_FILTER = 1 << 16, 1 << 12, 1 << 10

# --- arrays ---

#: From so many bytes on numpy asks the system for pages of 2 MiB where it has them.
LARGE_ARRAY = 1 << 22
#: Bytes that the temporaries of a sum may take; more terms are summed in parts.
SEPARABLE_WORKSPACE = 1 << 27

# --- checks ---

#: Lengths are no shorter and no longer: squares, cubes and their reciprocals stay within double precision.
SHORTEST, LONGEST = 1e-75, 1e75
#: Counts are no larger, unless a smaller bound is given.
MOST_ELEMENTS = 1 << 31

# --- evaluation.dither ---

#: Nodes that are looked at beyond the outermost ones: a step has to be seen beside its neighbours.
MARGIN = 2
#: A step stands out when it is so many times the smaller of its neighbours', and this part of the larger one.
STANDS_OUT, LARGEST_DITHER = 3.0, 0.9
#: Numbers that are looked at at once, and temporaries of a map, in multiples of it.
DITHER_PART, DITHER_TEMPORARIES = 1 << 18, 6
#: Opaque functions are interpolated from so many nodes on either side.
DITHER_PAIRS = 8
#: What they are beyond that counts from this part of their largest value on: less is for the refinements to tell.
HIDDEN = 1e-2
#: Steps below this many eps of the largest value are rounding.
ROUNDING = 64
#: Part of |Δ²|/8, by which a crest between nodes may exceed them, that is added: some more than its root mean square.
CREST = 0.6

# --- evaluation.evaluation ---

#: Default bound for scattered points, of which there is no need to hold many at once.
POINTS_BOUND = 1 << 28
#: Tiles may compute this many times the bytes that fit into memory, halos included; more is refused.
EFFORT = 64

# --- evaluation.integrals ---

#: Where a decaying field counts as zero, relative to its peak.
TAIL = 1e-17
#: Bytes of values that one tile of a lattice may take.
TILE = 1 << 24
#: A lattice whose values would take this many times the memory bound is taken for one too many.
MOST_MEMORY = 2
#: How often a region is widened, by half, in search of where a field has decayed.
WIDENINGS = 12
#: How far off a region's faces values are looked at, in extents: shapes may touch them.
OFF_FACES = 1e-9

# --- evaluation.node ---

#: Fields whose spectra fall below this part of their maximum, at frequencies that are known, have no jumps.
SMOOTH = 1e-3

# --- evaluation.plan ---

#: More frames than this mean that incommensurable spacings multiply each other.
MAX_FRAMES = 20_000

# --- evaluation.questions ---

#: Levels of a graph that are pickled and copied by recursion.
LEVELS = 32
#: A tolerance, where it doesn't matter which.
ROUGHLY = 1e-3

# --- evaluation.roughness ---

#: Order of the differences: for what is smooth they fall off faster than doublings take to settle.
ORDER = 16

# --- evaluation.translations ---

#: Bits for how often one translation is there.
MOVE_BITS = 32

# --- feature_map ---

#: Quadrature nodes per radius of a density, unless a layer says otherwise.
NODES = 16

# --- interpolation.fourier ---

#: Bytes of spectra that are moved and transformed at once: larger temporaries cost page faults.
FOURIER_CHUNK = 1 << 22

# --- interpolation.inner_products ---

#: Gauss–Legendre nodes between two knots.
GRAM_NODES = 16

# --- interpolation.splines ---

#: Samples gathered at once: they stay in cache, and torch doesn't split sums this short over threads, whose start
#: costs more than they save, the more so on a machine that is shared.
SPLINE_CHUNK = 32000
#: Bytes up to which a table is kept with the taps of its last axis but one side by side.
SPLINE_BYTES = 1 << 28
#: So many maps are left to scipy, one by one; more share their weights here.
FEW_SAMPLES = 8
#: Points that a thread gives to scipy at once.
SPLINE_SHARE = 16384

# --- kept ---

#: Things that are kept at once.
MOST_KEPT = 8

# --- kernels.aggregation ---

#: Samples per temporary of a sum over taps.
TAP_ELEMENTS = 1 << 17

# --- kernels.atoms ---

#: Atoms times frequencies up to which their transform is cheaper than the taps.
CHEAP = 1 << 14

# --- kernels.multipliers ---

#: Numbers that a kernel's transform may take; kernels that need more are left to their nodes, but for those on a whole
#: period, which have no more modes than numbers of their own.
MOST_MULTIPLIERS = 1 << 25
#: What a kernel's transform may be, relative to its maximum, where it is taken to be 0.
NEGLIGIBLE = 1e-18

# --- kernels.profile_kernels ---

#: B-splines of higher order cost more than they gain, and lose digits to cancellation.
MAX_ORDER = 9

# --- lattice ---

#: Default bound, in bytes, on the values alive at once.
MEMORY_BOUND = 1 << 30
#: Two positions closer than this many lattice spacings are the same point.
SNAP = 1e-11
#: Spacings a/b = p/q share a pitch up to this q; beyond it one coset of taps is evaluated at a time.
MAX_RATIO = 64
#: Where between the points of a lattice an outcome is checked, in spacings.
BETWEEN = (3 - math.sqrt(5)) / 2

# --- leaves.formulas ---

#: Powers of coordinates go no higher.
MAX_DEGREE = 256

# --- leaves.gaussian_envelopes ---

#: Pairs of terms whose overlaps are computed at once.
ENVELOPE_PAIRS = 1 << 20
#: Convolutions with kernels of so many terms, times the field's own, are left to nodes.
MOST_BLURRED = 1 << 12

# --- leaves.interpolated ---

#: A batch of lattices of no more points each is evaluated point by point, all at once.
FEW_POINTS = 4096
#: Inner products with fields that aren't interpolants take no more waves.
MOST_WAVES = 4096

# --- leaves.plane_waves ---

#: Frequencies closer than this part of the highest are the same.
SAME_FREQUENCY = 1e-9

# --- leaves.shapes ---

#: Edges closer than this part of the smallest half side count as one.
CLOSE_SHAPES = 64
#: Edges closer than this part of it are the same.
ALIKE_SHAPES = 1e-9
#: Shapes are compared in pairs up to so many.
MOST_SHAPE_PAIRS = 1024
#: Nodes along the axis of two bumps, and across it.
BUMP_ALONG, BUMP_ACROSS = 96, 64
#: Pairs whose overlaps are computed at once: some 10 MB per temporary.
BUMP_PAIRS = 256

# --- magnitude ---

#: Powers of two that bring sums of squares which over- or underflow back, as a part of the exponents that there are.
EXPONENT_PART = 0.6

# --- radial ---

#: Nodes per radius for the bump's marginal: n tell all 2π|f|r up to 2πn − 1400.
BUMP_NODES = (256, 1024)
#: The largest 2π|f|r at which the bump's transform isn't rounding error.
BUMP_LAST = 2000.0
#: Where the transform of the disc changes from a sum over this many nodes to a series.
HANKEL, CHEBYSHEV = 30.0, 48
#: Frequencies that are summed at once.
RADIAL_PART = 4096
#: Nodes of a Gauss rule between two corners: cells come out to 1e-13 of a whole one.
CELL_NODES = 24

# --- reading.coordinates ---

#: Coordinates may deviate from even steps by this share of a step, or by rounding of their own dtype.
EVEN = 1e-6

# --- spectrum.coefficients ---

#: Closed energies are known to this part of what they are sums of.
SERIES_KNOWN = 1e-9
#: Modes per axis to begin with.
FIRST_MODES = 16
#: Frequencies that are transformed at once, and bytes at work per byte of coefficients.
MODES_AT_ONCE, SPECTRUM_WORK = 1 << 15, 6

# --- spectrum.resolving ---

#: Samples per period to begin with, where nothing is known of the band.
FIRST_SAMPLES = 32

# --- stencils.correlation ---

#: Kernels of no more numbers than this are left to torch in float64, too: products of single numbers don't pay.
SINGLE_TAPS = 9
#: Outputs per block of a banded matrix product: enough for a fast product, few enough zeros.
BAND_ROWS = 64
#: Rows of more taps than this go by FFT: the band would grow with the square of their number.
BAND_TAPS = 512

# --- stencils.maxima ---

#: Outputs per block: a maximum over many lines passes over the same values many times, and writes as many temporaries;
#: in fresh memory that takes four times as long.
MAXIMUM_BLOCK = 1 << 17

# --- stencils.overlap_save ---

#: Samples per temporary of a convolution by FFT.
FFT_ELEMENTS = 1 << 19

# --- stencils.stencil ---

#: Points lie no more spacings of a lattice away: beyond, positions aren't exact.
MOST_STEPS = 1 << 50
#: A kernel or window has no more taps on a lattice: half a gigabyte of them.
MOST_TAPS = 1 << 26
