"""The error that the command line tells in one line."""


class BadInput(ValueError):
    """What a user gave can't be worked with; the message says why, and what would do."""
