"""Sums and maxima over taps, each by the fastest of several ways."""
