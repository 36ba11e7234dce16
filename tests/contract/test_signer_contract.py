"""What every `Signer` must do: a key in memory and one at a signing service under one test."""

import pytest
from eth_account import Account

from livefleet.chain import LocalSigner, RemoteSigner, RemoteSignerSettings, recover_address
from livefleet.chain.envelope import parse_signed
from tests.builders.web3signer import a_web3signer

pytestmark = pytest.mark.contract

SECRET = bytes.fromhex("22" * 32)  # test-only
ADDRESS = Account.from_key(SECRET).address
CALL = {
    "type": 2,
    "chainId": 42161,
    "nonce": 7,
    "to": "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A",
    "data": bytes.fromhex("a9059cbb") + bytes(64),
    "value": 3,
    "gas": 100_000,
    "maxFeePerGas": 2 * 10**9,
    "maxPriorityFeePerGas": 10**8,
}


@pytest.fixture(params=["in memory", "at a service"])
async def signer(request):
    if request.param == "in memory":
        yield LocalSigner(SECRET)
        return
    with a_web3signer(SECRET) as service:
        async with RemoteSigner(RemoteSignerSettings(service.url, ADDRESS)) as remote:
            yield remote


async def test_signer__says_its_address(signer):
    assert signer.address == ADDRESS


async def test_sign__message__recovers_to_the_address(signer):
    for number in range(8):
        message = bytes([number]) * 32
        signature = await signer.sign(message)
        assert recover_address(message, signature) == bytes.fromhex(ADDRESS[2:])


async def test_sign__message_of_another_length__is_refused(signer):
    with pytest.raises(ValueError, match="32 bytes"):
        await signer.sign(b"short")


async def test_sign_transaction__is_what_eth_account_makes(signer):
    raw = await signer.sign_transaction(CALL)
    assert raw == bytes(Account.from_key(SECRET).sign_transaction(CALL).raw_transaction)
    assert parse_signed(raw).sender == ADDRESS
