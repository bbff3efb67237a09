"""App roles and scopes in the directory: their ids, and how the lists there become the declared.

Graph, "Update application": an enabled entry can neither be changed nor removed, and a role and a
scope of one id are one permission, with one value, one text and one `isEnabled`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from fhir_app_operator.errors import Invalid
from fhir_app_operator.planning.model import AppRole, Exposure, PermissionScope

_NAMESPACE: Final = uuid.UUID("7f0ad3de-2f5c-5d0e-9a35-5a5b1f0c3c7a")
"""Never change it: permission ids are derived from it."""

Entry = TypeVar("Entry", AppRole, PermissionScope)


def permission_id(tenant_id: str, namespace: str, name: str, value: str) -> str:
    """Return the id of a role or scope: the same for a registration made again by this name."""
    return str(uuid.uuid5(_NAMESPACE, f"{tenant_id}/{namespace}/{name}/{value}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What tells our entries from those of others."""

    id_of: Callable[[str], str]
    """The id that we derive for a value."""
    claimed: frozenset[str] = frozenset()
    """Ids of other makes that the application's tags claim for us."""
    derived: frozenset[str] = frozenset()
    """Ids that belong to declared values: what has one under another value was ours."""
    remove_app_roles: bool = False
    """Whether app roles of others go."""
    remove_scopes: bool = False
    """Whether scopes of others go."""

    def is_ours(self, entry: AppRole | PermissionScope) -> bool:
        """Whether an entry of the directory is ours, declared or not any more."""
        ours = self.claimed | self.derived
        return entry.id == self.id_of(entry.value) or entry.id in ours


def next_step(desired: Exposure, live: Exposure, own: Ownership) -> Exposure:
    """Return the lists to send next; those of `live` where they are already right.

    An entry that the directory has under a declared value keeps its id, since grants hang on it;
    not where that id is the one derived for another declared value: somebody changed values then.
    Entries of others are kept, unless they are to be removed. An enabled entry that must change or
    go is disabled first, together with its twin of the other list; what collides with nothing is
    added at once. The lists after that are the next plan's business: whatever happens in between,
    they follow from what is there.

    Raises:
        Invalid: the manifest names an id, and the directory has another one for that value.
    """
    ids = {entry.value: entry.id for entry in live.entries}
    own = replace(own, derived=_derived(desired, own))
    roles = _target(desired.app_roles, live.app_roles, ids, own, remove=own.remove_app_roles)
    scopes = _target(desired.scopes, live.scopes, ids, own, remove=own.remove_scopes)
    frozen = _to_disable(roles, live.app_roles) | _to_disable(scopes, live.scopes)
    if frozen:
        roles = _frozen(roles, live.app_roles, ids, frozen)
        scopes = _frozen(scopes, live.scopes, ids, frozen)
    return Exposure(
        app_roles=live.app_roles if _same(roles, live.app_roles) else roles,
        scopes=live.scopes if _same(scopes, live.scopes) else scopes,
    )


def disabled_by(before: Exposure, after: Exposure) -> frozenset[str]:
    """Return the ids that are enabled `before`, and there but disabled `after`."""
    return _enabled(before) & disabled(after)


def without(before: Exposure, after: Exposure) -> Exposure:
    """Return what is in a list of `before` and not in the same of `after`.

    One whose value changes under its id counts as gone: what was granted on it was meant for the
    value.
    """
    roles = {(e.id, e.value) for e in after.app_roles}
    scopes = {(e.id, e.value) for e in after.scopes}
    return Exposure(
        app_roles=tuple(e for e in before.app_roles if (e.id, e.value) not in roles),
        scopes=tuple(e for e in before.scopes if (e.id, e.value) not in scopes),
    )


def values(lists: Exposure, ids: frozenset[str] | None = None) -> tuple[str, ...]:
    """Return the values of the entries with those ids, or of all, sorted."""
    found = {entry.value for entry in lists.entries if ids is None or entry.id in ids}
    return tuple(sorted(found))


def disabled(lists: Exposure) -> frozenset[str]:
    """Return the ids of the entries that are there but disabled."""
    return frozenset(entry.id for entry in lists.entries if not entry.is_enabled)


def changed_although(disabled: frozenset[str], before: Exposure, after: Exposure) -> frozenset[str]:
    """Return which of the `disabled` a step from `before` to `after` changes or removes.

    To enable one again is no change: Graph takes that whatever it sees.
    """
    facts = _facts(after)
    return frozenset(
        key[1] for key, fact in _facts(before).items()
        if key[1] in disabled and facts.get(key) != fact
    )  # fmt: skip


def _facts(lists: Exposure) -> Mapping[tuple[type, str], AppRole | PermissionScope]:
    return {(type(e), e.id): replace(e, is_enabled=True) for e in lists.entries}


def _enabled(lists: Exposure) -> frozenset[str]:
    return frozenset(entry.id for entry in lists.entries if entry.is_enabled)


def _derived(desired: Exposure, own: Ownership) -> frozenset[str]:
    """The ids of the declared entries that are derived from their values."""
    return frozenset(e.id for e in desired.entries if e.id == own.id_of(e.value))


def _target(
    desired: Sequence[Entry], live: Sequence[Entry], ids: Mapping[str, str], own: Ownership, *,
    remove: bool,
) -> tuple[Entry, ...]:  # fmt: skip
    found: list[Entry] = [_with_live_id(each, ids, own) for each in desired]
    wanted: dict[str, Entry] = {entry.id: entry for entry in found}
    if len(wanted) < len(found):
        raise Invalid(
            "`resource`: an id that the manifest names belongs to another role or scope in the "
            "directory; leave `id` out there"
        )
    kept: list[Entry] = [
        wanted.get(entry.id, entry)
        for entry in live
        if entry.id in wanted or not (remove or own.is_ours(entry))
    ]
    known = {entry.id for entry in kept}
    added: list[Entry] = [entry for entry in wanted.values() if entry.id not in known]
    return tuple(kept + added)


def _with_live_id(entry: Entry, ids: Mapping[str, str], own: Ownership) -> Entry:
    found = ids.get(entry.value, entry.id)
    if entry.id == own.id_of(entry.value) and found in own.derived:
        return entry
    if found != entry.id != own.id_of(entry.value):
        raise Invalid(
            f"`resource`: '{entry.value}' is to have the id {entry.id}, but the directory has it "
            f"under {found}, and what was granted hangs on that; name {found} in the manifest, or "
            "remove the role or scope first and declare it again afterwards"
        )
    return replace(entry, id=found)


def _frozen(
    target: Iterable[Entry], live: Sequence[Entry], ids: Mapping[str, str], frozen: frozenset[str]
) -> tuple[Entry, ...]:
    """`live` with the `frozen` disabled, and with what is new in both lists (`ids` has those)."""
    taken = {*ids.values(), *frozen}
    kept: list[Entry] = [replace(e, is_enabled=e.is_enabled and e.id not in frozen) for e in live]
    added: list[Entry] = [e for e in target if e.id not in taken and e.value not in ids]
    return tuple(kept + added)


def _same(one: Iterable[Entry], other: Iterable[Entry]) -> bool:
    return {entry.id: entry for entry in one} == {entry.id: entry for entry in other}


def _to_disable(target: Iterable[Entry], live: Iterable[Entry]) -> frozenset[str]:
    """Ids of enabled live entries that the target changes or drops."""
    after = {entry.id: entry for entry in target}
    return frozenset(e.id for e in live if e.is_enabled and after.get(e.id) != e)
