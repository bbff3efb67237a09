"""What can go wrong with a benchmark, apart from its environment."""


class BenchmarkError(Exception):
    """The figures cannot be had; the message says why."""
