"""What can go wrong in the demo itself; the environment's errors are `dev.sandbox`'s."""


class DemoError(Exception):
    """A step did not come out as it must; the message says which and how."""
