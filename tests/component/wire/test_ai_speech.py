"""Speech with real weights through the door: what a voice says is heard word for word."""

import io
import random
import wave

import pytest

from livefleet.ai import AiPool, Placement
from livefleet.kernel import ConditionBoard, SystemClock
from livefleet.spec import Pipeline
from livefleet.wire.channel import parse_endpoint
from livefleet.wire.gateway import AiReport, AiRequest, Payer, ask
from tests.builders.ai import an_entry
from tests.builders.real_weights import piper_voice, whisper_tiny_en
from tests.builders.speech import SENTENCE, said_twice, words
from tests.builders.wire import FreePayments, until

pytestmark = pytest.mark.component

VOICE, EAR = "piper/en_US-joe-medium", "Systran/faster-whisper-tiny.en"


async def test_speech__real_weights__is_heard_word_for_word(serve, tmp_path):
    entries = (
        an_entry(pipeline=Pipeline.TEXT_TO_SPEECH, model_id=VOICE, source=str(piper_voice())),
        an_entry(
            pipeline=Pipeline.AUDIO_TO_TEXT,
            model_id=EAR,
            source=str(whisper_tiny_en()),
            optimization={"BACKEND": "faster-whisper"},
        ),
    )
    pool = AiPool(
        [Placement(entry, "cpu", "float32") for entry in entries],
        run_dir=tmp_path / "run",
        state_folder=tmp_path,
        board=ConditionBoard(SystemClock()),
        rng=random.Random(1),
        request_timeout_s=120,
        cpu_threads=1,
    )
    payments = FreePayments()
    async with pool:
        node = await serve(ai=pool, payments=payments)
        await until(lambda: len([model for model in pool.advertised() if model.warm]) == len(entries))

        async def asked(request: AiRequest) -> AiReport:
            report = await ask(parse_endpoint(node.uri), Payer(None), request, timeout_s=120)
            assert report.problems == ()
            return report

        spoken = (await asked(AiRequest("text-to-speech", VOICE, {"text": SENTENCE}))).media[0]
        assert payments.debits[-1] == (f"36_{VOICE}", 1000 * len(SENTENCE))
        with wave.open(io.BytesIO(spoken.data)) as sound:
            seconds = sound.getnframes() / sound.getframerate()
            assert (2 < seconds < 8, sound.getframerate(), spoken.content_type) == (True, 22_050, "audio/wav")

        heard = (await asked(AiRequest("audio-to-text", EAR, {"return_timestamps": "true"}, spoken.data))).answer
        assert payments.debits[-1] == (f"31_{EAR}", 1000 * int(seconds))
        assert words(heard["text"]) == words(SENTENCE)
        assert heard["chunks"][-1]["timestamp"][1] == pytest.approx(seconds, abs=0.6)

        # Said twice with a pause, so that the second time lies beyond the model's window of 30 s.
        twice = AiRequest("audio-to-text", EAR, {"return_timestamps": "word"}, said_twice(spoken.data, pause_s=28))
        by_word = (await asked(twice)).answer["chunks"]
        assert [words(chunk["text"])[0] for chunk in by_word] == 2 * words(SENTENCE)
        starts = [chunk["timestamp"][0] for chunk in by_word]
        assert starts == sorted(starts)
        assert starts[len(starts) // 2] > 30
