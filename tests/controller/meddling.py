"""Something that happens in the very middle of a pass: between what it reads and what it writes."""

from dataclasses import replace


class Meddler:
    """The gateway to registrations, behind which something happens before a certain read.

    Args:
        registrations: the gateway.
        read: name of the method, and what it is asked for last.
        number: which of those reads it is, from 1.
        happens: awaited right before.
    """

    def __init__(self, registrations, read, number, happens):
        self._registrations, self._read, self._happens = registrations, read, happens
        self.left = number

    def __getattr__(self, method):
        real = getattr(self._registrations, method)

        async def meddled(*args):
            if args[-1] == self._read[1]:
                self.left -= 1
                if self.left == 0:
                    await self._happens()
            return await real(*args)

        return meddled if method == self._read[0] else real


def meddled(lab, read, number, happens):
    """Return the lab with a world in which something happens before that read."""
    meddler = Meddler(lab.world.registrations, read, number, happens)
    return replace(lab, world=replace(lab.world, registrations=meddler)), meddler


def before_grant(lab, name, happens):
    """Return such a lab for the moment at which a pass of the registration begins to grant.

    What it then reads of the registration is the second of its reads.
    """
    return meddled(lab, ("registration", name), 2, happens)
