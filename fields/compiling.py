"""What compilers and transforms of functions can't do: look at values."""

from __future__ import annotations

import torch
from torch._C import _functorch as functorch


def tracing() -> bool:
    """Whether nothing can depend on values: within torch.compile, torch.export, torch.vmap and the like."""
    return torch.compiler.is_compiling() or functorch.maybe_current_level() is not None
