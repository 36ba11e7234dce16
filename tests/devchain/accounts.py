"""TEST-ONLY keys: the ten accounts of the mnemonic that every Ethereum tool publishes. Never send them real value."""

from eth_account import Account

from livefleet.chain import LocalSigner

__all__ = ["DEPLOYER", "KEEPER", "MNEMONIC", "dev_secret", "dev_signer"]

MNEMONIC = "test test test test test test test test test test test junk"
DEPLOYER = 0  # owns the contracts and hands out LPT and ETH
KEEPER = 9  # initialises rounds


def dev_secret(index: int) -> bytes:
    """The secret of one of the accounts, m/44'/60'/0'/0/index."""
    Account.enable_unaudited_hdwallet_features()
    return bytes(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key)


def dev_signer(index: int) -> LocalSigner:
    """One of the accounts, able to sign."""
    return LocalSigner(dev_secret(index))
