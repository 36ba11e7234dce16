"""What go-livepeer makes of arguments, environment and config file."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livefleet.control.importer.findings import Outcome, Spot
from livefleet.control.importer.settings import Settings, Source, config_words, settle
from livefleet.control.importer.words import literal

pytestmark = pytest.mark.unit

SPOT = Spot("f", 1, 1)


def settled(arguments: str = "", config: str = "", **environment: str) -> Settings:
    words = tuple(literal(word, SPOT) for word in arguments.split())
    variables = {name: literal(value, SPOT) for name, value in environment.items()}
    return settle("p", words, variables, dict(config_words(config, "c")))


def told(settings: Settings, outcome: Outcome) -> list[str]:
    return [f"{each.subject}: {each.text}" for each in settings.findings if each.outcome is outcome]


@pytest.mark.parametrize("text", ["-v=6", "--v=6", "-v 6", "--v 6"])
def test_arguments__both_forms__are_read(text: str) -> None:
    assert settled(text).text("v") == "6"


def test_arguments__switch__is_on_alone() -> None:
    found = settled("-orchestrator -transcoder=false -monitor=1")

    assert (found.is_on("orchestrator"), found.is_on("transcoder"), found.is_on("monitor")) == (True, False, True)


def test_arguments__switch_with_a_word_after__ends_the_flags() -> None:
    found = settled("-orchestrator -reward false -v 6 -nvidia all")

    assert found.is_on("reward")
    assert (found.get("v"), found.get("nvidia")) == (None, None)
    assert told(found, Outcome.DANGEROUS) == [
        (
            "-reward: `-reward false` is not how Go reads it: the flag is on, and hides the 4 words after it; "
            "write `-reward=false`"
        )
    ]
    assert [text.partition(":")[0] for text in told(found, Outcome.OVERRIDDEN)] == ["-v", "-nvidia"]


@pytest.mark.parametrize("text", ["x -v 6", "-- -v 6", "- -v 6"])
def test_arguments__a_word_that_is_no_flag__ends_them(text: str) -> None:
    assert settled(text).get("v") is None


def test_arguments__given_twice__the_last_counts() -> None:
    found = settled("-v 4 -v 6")

    assert found.text("v") == "6"
    assert told(found, Outcome.OVERRIDDEN) == ["-v: -v at f:1 counts in its place"]


def test_arguments__unknown__is_told_without_its_value() -> None:
    found = settled("-ethpasword hunter2 -v 6")

    assert found.text("v") == "6"
    assert told(found, Outcome.UNKNOWN) == [
        "-ethpasword: go-livepeer ends with an error over it; did you mean `-ethPassword`?"
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-maxGasPrice 1gwei", "is no whole number"),
        ("-reward=maybe", "is no `true` or `false`"),
        ("-transactionTimeout 5", "is no time such as `30s`"),
        ("-minPerfScore x", "is no number"),
    ],
)
def test_arguments__not_in_the_flags_form__are_dead(text: str, what: str) -> None:
    (line,) = told(settled(text), Outcome.DEAD)

    assert what in line


def test_arguments__last_one_without_a_value__is_dead() -> None:
    assert told(settled("-v 6 -ethUrl"), Outcome.DEAD) == ["-ethUrl: needs a value and has none"]


def test_environment__unknown_variable__is_told_with_the_near_one() -> None:
    (line,) = told(settled(LP_ETHURI="x", PATH="y"), Outcome.UNKNOWN)

    assert line.startswith("LP_ETHURI: no flag has this variable")
    assert line.endswith("the variable is LP_ETHURL")


def test_environment__empty__says_nothing() -> None:
    assert settled(LP_V="").get("v") is None


def test_config__lines__as_ff_reads_them() -> None:
    found = settled(config="# remark\n\n  transcoder\nethUrl   http://a#b   # note\nserviceAddr h:1\n-v 6\n")

    assert found.is_on("transcoder")
    assert found.text("ethUrl") == "http://a#b"
    assert found.said["ethUrl"].origin == "ethUrl, c:4"
    assert told(found, Outcome.UNKNOWN)[0].startswith(
        "-v: go-livepeer ends with an error over it; a config file has `v`"
    )


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(Source)), st.permutations(["4", "5", "6"]))
def test_precedence__flag_over_environment_over_config(sources: set[Source], values: list[str]) -> None:
    by_source = dict(zip(Source, values, strict=True))
    found = settled(
        f"-v {by_source[Source.FLAG]}" if Source.FLAG in sources else "",
        f"v {by_source[Source.CONFIG]}" if Source.CONFIG in sources else "",
        **({"LP_V": by_source[Source.ENVIRONMENT]} if Source.ENVIRONMENT in sources else {}),
    )

    strongest = next((source for source in Source if source in sources), None)
    assert found.text("v") == (by_source[strongest] if strongest else "")
    assert len(told(found, Outcome.OVERRIDDEN)) == max(len(sources) - 1, 0)
