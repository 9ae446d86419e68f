"""The error that the command line tells in one line."""


class BadInput(ValueError):
    """What a user gave can't be worked with; the message says why, and what would do."""


#: What all commands take of these numbers.
RANGES = {"seed": (0, 2**32 - 1), "threads": (1, 1024)}


def check_range(name: str, value: int) -> None:
    """Raise BadInput where a number of `RANGES` lies outside."""
    least, most = RANGES[name]
    if not least <= value <= most:
        raise BadInput(f"--{name} must lie between {least} and {most}, got {value}")
