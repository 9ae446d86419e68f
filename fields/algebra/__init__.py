"""What the vocabulary makes of fields: all of it is entered for `Field` to find once this is imported."""

import fields.algebra.closed_convolutions
import fields.algebra.closed_forms
import fields.algebra.linear
import fields.algebra.local
import fields.algebra.periodized
import fields.algebra.pointwise  # noqa: F401
