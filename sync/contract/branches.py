"""Branches: events of a copied card, from where its chain parts from the stored one."""

from msgspec.structs import replace

from sync.contract.event import Event, Exit, Void


def move_to_branch(event: Event, epoch: str, branch: str, parting: int) -> Event:
    """Returns an event of a branch with the branch's own entry in it: the number alone may name another branch's.

    `parting`: the first number under which `epoch` and `branch` have different events.
    """
    match event:
        case Exit(entry_epoch=named, entry_seq=seq) if named == epoch and seq >= parting:
            return replace(event, entry_epoch=branch)
        case Void(void_epoch=named, void_seq=seq) if named == epoch and seq >= parting:
            return replace(event, void_epoch=branch)
        case _:
            return event
