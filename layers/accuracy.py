"""Every tolerance and size of the package, each with its reason, by the file that uses it."""

# --- projected_kernel ---

#: What is aimed at, beside the largest mean of |κ|, and what is told; so many eps of κ where that is more.
PROJECTION_RTOL, PROJECTION_TOLD, PROJECTION_ROUNDING = 1e-10, 1e-8, 1 << 12
#: Numbers that κ gives, at most, beyond the first nodes; and nodes per axis.
MOST_SAMPLES, FINEST_SAMPLES = 1 << 25, 1 << 12
#: Points at which errors are looked for.
LOOKS = 1 << 10

# --- unshared_fields ---

#: Pairs of a point and a node for which a kernel is evaluated at once.
PAIRS_AT_ONCE = 1 << 18

# --- windowed ---

#: A window that holds for at least this share of a lattice's points is pooled over the whole lattice.
COMMON = 1 / 16
