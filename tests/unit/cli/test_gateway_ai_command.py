import pytest
from click.testing import CliRunner

from livefleet.cli.main import main
from livefleet.kernel import ExitCode

pytestmark = pytest.mark.unit

COMMON = ["--orchestrator", "https://127.0.0.1:1", "--model", "m"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["text-to-poem"], "there is no pipeline"),
        (["upscale", "--prompt", "x"], "--image FILE"),
        (["audio-to-text"], "--audio FILE"),
        (["llm", "--image", __file__], "takes no file"),
        (["text-to-image", "--stream"], "--stream is for llm"),
        (["llm", "--field", "max_tokens"], "NAME=VALUE"),
        (["llm", "--field", "=7"], "NAME=VALUE"),
        (["upscale", "--image", __file__], "image: unknown format"),
    ],
)
def test_gateway_ai__bad_input__is_told_before_anybody_is_asked(arguments, words):
    told = CliRunner().invoke(main, ["gateway", "ai", *arguments, *COMMON])
    assert told.exit_code == ExitCode.BAD_INPUT
    assert words in told.output


def test_gateway_ai__nobody_answers__is_the_outside_saying_no():
    told = CliRunner().invoke(main, ["gateway", "ai", "llm", "--prompt", "Hello?", *COMMON])
    assert told.exit_code == ExitCode.OUTSIDE_SAID_NO
