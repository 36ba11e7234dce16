"""What was there when books were opened, and what a key held when the node got it."""

from collections.abc import Sequence

from livefleet.chain import ChainClient
from livefleet.kernel import Address, Transient
from livefleet.ledger.accounts import Account, AccountKind, Entry, EntryKind, Posting
from livefleet.ledger.file import Balances, Closing
from livefleet.ledger.state import forgets_past, read_wallets

__all__ = ["opening_entry", "opening_of_wallets"]


def opening_entry(source: str, balances: Balances, closing: Closing) -> Entry:
    """One entry that brings accounts to their balances on chain at the closing's block. Pure."""
    opening = Account(AccountKind.OPENING)
    postings = [
        posting
        for (account, currency), amount in balances.items()
        if amount
        for posting in (Posting(account, currency, amount), Posting(opening, currency, -amount))
    ]
    return Entry(source, EntryKind.OPENING, closing.block, closing.at, closing.round, tuple(postings))


async def opening_of_wallets(client: ChainClient, addresses: Sequence[Address], closing: Closing) -> list[Entry]:
    """Entries for wallets that no entry knows, where they held something. Raises Transient.

    None where the endpoints no longer know that block: what the wallets hold stays to be explained.
    """
    found = []
    for address in addresses:
        try:
            held = await read_wallets(client, [address], closing.block)
        except Transient as error:
            if not forgets_past(error):
                raise
            continue
        entry = opening_entry(f"opening:{address}", held, closing)
        if entry.postings:
            found.append(entry)
    return found
