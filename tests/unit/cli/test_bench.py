import pytest
from click.testing import CliRunner

from livefleet.cli import main

pytestmark = pytest.mark.unit


def bench(*arguments):
    return CliRunner().invoke(main, ["bench", "transcode", *arguments])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--ladder", "P999"], "'P999' is no rendition"),
        (["--profile", "small"], "'small' is no rendition"),
        (["--device", "GPU-none"], "no GPU 'GPU-none' here"),
        (["--source", "large"], "'large' is no size"),
        (["--source", "0x10"], "'0x10' is no size"),
    ],
)
def test_bench__wrong_wish__is_told_before_anything_is_measured(arguments, told):
    result = bench(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_bench__state_folder_with_something_else__is_told_before_anything_is_measured(tmp_path):
    (tmp_path / "benchmark.json").write_text("?")
    result = bench("--device", "cpu", "--write", str(tmp_path))
    assert result.exit_code == 2
    assert "benchmark.json" in result.stderr


def test_bench__help__names_the_default_ladder():
    result = bench("--help")
    assert result.exit_code == 0
    assert "P240p30fps16x9,P360p30fps16x9,P720p30fps16x9" in result.output
