"""Every tolerance and size of the package, each with its reason, by the file that uses it."""

# --- alignment ---

#: Tolerance with which a field is sampled to be combined with samples: that of `sample`, unless it is told another.
FIELD_RTOL = 1e-4

# --- boundary ---

#: Samples and what continues them take no more bytes.
MOST_CONTINUED = 1 << 34

# --- folding ---

#: Rounding allowed for when a frequency is compared with Nyquist.
SLACK = 1e-9

# --- origins.peaks ---

#: Local maxima of the samples that are refined, and how far apart, in spacings, two of them are different places.
CANDIDATES = 8
APART = 1e-3
#: A peak of the samples no further off is taken for the same one, not refined yet.
BESIDE = 0.75

# --- origins.predictors ---

#: Below this confidence a phase is noise: its gradient is cut off, and comoving grids drop what depends on it.
EPSILON = 1e-6
#: Confidences this close to the largest, relative to it, count as equal: rounding and quadrature don't choose.
TOLD = 1e-3

# --- promises ---

#: What of an input's energy may lie at Nyquist without a warning: 1e-4 of it in L2, or what rounding may look like.
NYQUIST = 1e-8

# --- refinement ---

#: An error that is more than this part of the last one hasn't fallen: a rule of first order leaves 2/3 or 3/4 of it.
FALLS = 0.8
#: Draws of what lies between nodes, and their root mean square's multiple that is reported.
DRAWS, DRAW_SPREAD = 3, 1.2
#: Refinements that nobody would think of.
FAR = 1e7
#: Rounding of what nearly cancels, in eps: below it, no error is taken for less than it changes by.
CANCELLED = 1 << 16
#: Transforms of kernels are known from here on.
LEAST_TRANSFORM = 1e-14
#: Order of convergence that is hoped for when a tolerance is given up early.
HOPE = 4

# --- subsampling.comoving ---

#: A decaying field is sampled where it is above this share of its peak.
DECAYED = 1e-12

# --- subsampling.polyphase ---

#: Scores within so many eps of the largest count as equal to it.
ENERGY_TIE = 1024

# --- ties ---

#: Values within so many eps of the largest count as equal to it: interpolation at the samples changes them by up to 6.
TIE = 64
#: And those within this part of it: float64 phases of Fourier interpolation are off by about an eps for each sample
#: that a map is moved.
PHASES = 2.0**-42
#: Samples of one channel that are summed at once: no more than what torch leaves to one thread, which needn't wait.
TIE_BLOCK = 1 << 14

# --- trigonometric ---

#: Samples per axis, and kept one in how many, up to which a filter is a dense matrix.
DENSE = 96
#: Bytes of samples that are handled at once.
TRIGONOMETRIC_CHUNK = 1 << 23
