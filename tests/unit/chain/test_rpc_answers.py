import pytest

from livefleet.chain import NodeError, RangeTooLarge, Reverted
from livefleet.chain.rpc.answers import Behind, Busy, Declined, Unusable, number, raw_bytes, result_of

pytestmark = pytest.mark.unit


def an_error(message, code=-32000, data=None):
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": message, "data": data}}


def test_result_of__a_value_even_null__is_it():
    assert result_of({"id": 1, "result": "0x7"}, "eth_blockNumber") == "0x7"
    assert result_of({"id": 1, "result": None}, "eth_getTransactionReceipt") is None


@pytest.mark.parametrize("answer", [None, [], "no", {}, {"id": 1}])
def test_result_of__no_json_rpc__is_unusable(answer):
    with pytest.raises(Unusable):
        result_of(answer, "eth_blockNumber")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (an_error("execution reverted: system is paused", 3), "system is paused"),
        (an_error("execution reverted", -32000), ""),
        (an_error("VM execution error.", -32015, "Reverted 0x4e487b71" + "11".rjust(64, "0")), "Panic(0x11)"),
    ],
)
def test_result_of__revert__is_the_contracts_answer(answer, reason):
    with pytest.raises(Reverted) as caught:
        result_of(answer, "eth_call")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        an_error("limit exceeded", -32005),
        an_error("Too Many Requests", 429),
        an_error("Your app has exceeded its requests per second capacity", -32029),
        an_error("daily request count exceeded, request rate limited"),
        an_error("project ID request rate exceeded: rate limit"),
    ],
)
@pytest.mark.parametrize("method", ["eth_call", "eth_getLogs"])
def test_result_of__enough_requests__is_busy(answer, method):
    with pytest.raises(Busy):
        result_of(answer, method)


@pytest.mark.parametrize(
    "words", ["header not found", "Unknown block", "missing trie node abc (path )", "unsupported block number 5"]
)
def test_result_of__block_that_the_node_lacks__is_behind(words):
    with pytest.raises(Behind):
        result_of(an_error(words), "eth_call")


@pytest.mark.parametrize(
    ("words", "code", "span"),
    [
        ("query exceeds max block range 1000", -32000, None),
        ("exceed maximum block range: 50000", -32701, None),
        ("eth_getLogs is limited to a 10,000 range", -32614, None),
        ("eth_getLogs is limited to 1024 block range", -32602, None),
        ("Block range limit exceeded.", -32000, None),
        ("block range is too wide", -32600, None),
        ("ranges over 10000 blocks are not supported on free tier", 35, None),
        ("Max range: 800", -32047, None),
        ("query returned more than 10000 results", -32005, None),
        ("query returned more than 10000 results. Try with this block range [0x10, 0x1f].", -32005, 16),
        ("logs matched by query exceeds limit of 10000", -32000, None),
        ("Log response size exceeded. this block range should work: [0x0, 0x63]", -32602, 100),
        ("Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range.", -32600, None),
        ("query timeout exceeded", -32000, None),
        ("too many results", -32000, None),
    ],
)
def test_result_of__logs_of_too_much__is_declined_with_the_advice_in_it(words, code, span):
    with pytest.raises(Declined) as caught:
        result_of(an_error(words, code), "eth_getLogs")
    assert isinstance(caught.value.error, RangeTooLarge)
    assert caught.value.error.span == span


def test_result_of__fault_of_the_node__another_may_do_better():
    with pytest.raises(Declined) as caught:
        result_of(an_error("internal error", -32603), "eth_call")
    assert not isinstance(caught.value.error, RangeTooLarge)


@pytest.mark.parametrize("error", ["out of luck", {"message": "nonce too low", "code": "x"}, {"code": -32000}])
def test_result_of__any_other_refusal__is_the_nodes_word(error):
    with pytest.raises(NodeError):
        result_of({"id": 1, "error": error}, "eth_sendRawTransaction")


@pytest.mark.parametrize("raw", [None, {}, "seven", 7])
def test_number_and_data__are_none__is_the_nodes_fault(raw):
    with pytest.raises(NodeError, match="no number"):
        number(raw)
    with pytest.raises(NodeError, match="no data"):
        raw_bytes(raw)
