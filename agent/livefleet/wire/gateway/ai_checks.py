"""Whether an AI pipeline's answer is what its clients expect. Nothing here knows how it was made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from livefleet.ai.pictures import size_of
from livefleet.ai.sounds import seconds_of
from livefleet.media import TranscodeError
from livefleet.media.inspection import inspect
from livefleet.wire.gateway.ai_requests import AiRequest

__all__ = ["MediaReport", "check_answer", "check_chunks", "describe"]

_UPSCALED = 4


@dataclass(frozen=True, slots=True)
class MediaReport:
    """One file that came back, as found by reading it."""

    url: str
    data: bytes
    content_type: str = ""  # by its bytes; empty: nothing that is known
    width: int = 0
    height: int = 0
    frames: int = 0
    seconds: float = 0.0


def describe(url: str, data: bytes) -> MediaReport:
    """What a file is."""
    try:
        if data.startswith(b"\x89PNG"):
            width, height = size_of(data)
            return MediaReport(url, data, "image/png", width, height, frames=1)
        if data[4:8] == b"ftyp":
            film = inspect(data)
            return MediaReport(url, data, "video/mp4", film.width, film.height, film.frames, film.duration_s)
        if data.startswith(b"RIFF"):
            return MediaReport(url, data, "audio/wav", seconds=seconds_of(data))
    except (ValueError, TranscodeError):
        pass
    return MediaReport(url, data)


def check_answer(request: AiRequest, answer: Mapping[str, Any], media: Sequence[MediaReport]) -> list[str]:
    """Everything that is wrong with a JSON answer and its files; empty when it can be used."""
    try:
        return _CHECKS[request.pipeline](request, answer, media)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return [f"the answer has not the shape of {request.pipeline}: {type(error).__name__}: {error}"]


def check_chunks(chunks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Everything that is wrong with an answer in chunks."""
    if not chunks:
        return ["no chunk came"]
    problems = []
    if any(not chunk.get("choices") for chunk in chunks):
        problems.append("a chunk has no choice, which stops Go's gateways")
    ends = [bool(chunk["choices"][0].get("finish_reason")) for chunk in chunks if chunk.get("choices")]
    if not ends or not ends[-1] or any(ends[:-1]):
        problems.append("the last chunk, and only that, has to say why the answer ends")
    if any("usage" not in chunk for chunk in chunks):
        problems.append("a chunk does not tell what was used")
    return problems


def _pictures(wanted: int, size: tuple[int, int] | None, media: Sequence[MediaReport]) -> list[str]:
    problems = []
    if len(media) != wanted:
        problems.append(f"{len(media)} picture(s) came back, {wanted} were asked for")
    for picture in media:
        if picture.content_type != "image/png":
            problems.append("what came back is no PNG")
        elif size is not None and (picture.width, picture.height) != size:
            problems.append(f"a picture of {picture.width}x{picture.height} came back, not {size[0]}x{size[1]}")
    if len({picture.url for picture in media}) != len(media):
        problems.append("two pictures have the same URL")
    return problems


def _entries(answer: Mapping[str, Any]) -> list[str]:
    fine = all(isinstance(entry["seed"], int) and isinstance(entry["nsfw"], bool) for entry in answer["images"])
    return [] if fine else ["a picture comes without `seed` or `nsfw`"]


def _text_to_image(request: AiRequest, answer: Mapping[str, Any], media: Sequence[MediaReport]) -> list[str]:
    size = request.number("width"), request.number("height")
    return _pictures(request.number("num_images_per_prompt"), size, media) + _entries(answer)


def _image_to_image(request: AiRequest, answer: Mapping[str, Any], media: Sequence[MediaReport]) -> list[str]:
    return _pictures(request.number("num_images_per_prompt"), None, media) + _entries(answer)


def _upscale(request: AiRequest, answer: Mapping[str, Any], media: Sequence[MediaReport]) -> list[str]:
    width, height = size_of(request.upload)
    return _pictures(1, (width * _UPSCALED, height * _UPSCALED), media) + _entries(answer)


def _image_to_video(request: AiRequest, answer: Mapping[str, Any], media: Sequence[MediaReport]) -> list[str]:
    problems = _entries(answer)
    if [film.content_type for film in media] != ["video/mp4"]:
        return [*problems, f"{len(media)} file(s) came back, one MP4 was asked for"]
    film, size = media[0], (request.number("width"), request.number("height"))
    if (film.width, film.height) != size:
        problems.append(f"the film is {film.width}x{film.height}, not {size[0]}x{size[1]}")
    if film.frames < 1:
        problems.append("no frame of the film can be decoded")
    if film.url.startswith("data:"):
        problems.append("the film came as a data URL, which gateways do not take")
    return problems


def _audio_to_text(_: AiRequest, answer: Mapping[str, Any], __: Sequence[MediaReport]) -> list[str]:
    problems = [] if isinstance(answer["text"], str) else ["`text` is no text"]
    for chunk in answer["chunks"]:
        start, end = chunk["timestamp"]
        if not (isinstance(chunk["text"], str) and 0 <= start <= (start if end is None else end)):
            problems.append(f"a chunk is not in order: {chunk}")
    return problems


def _segment(_: AiRequest, answer: Mapping[str, Any], __: Sequence[MediaReport]) -> list[str]:
    masks, scores, logits = (from_json(answer[name]) for name in ("masks", "scores", "logits"))
    problems = []
    if not len(masks) == len(scores) == len(logits) or not scores:
        problems.append(f"{len(masks)} masks, {len(scores)} scores, {len(logits)} logits")
    if scores != sorted(scores, reverse=True):
        problems.append("the masks are not sorted by score")
    return problems


def _llm(_: AiRequest, answer: Mapping[str, Any], __: Sequence[MediaReport]) -> list[str]:
    choice, usage = answer["choices"][0], answer["usage"]
    problems = []
    if choice["message"]["role"] != "assistant" or not isinstance(choice["message"]["content"], str):
        problems.append("the answer is no message of an assistant")
    if not choice["finish_reason"]:
        problems.append("the answer does not say why it ends")
    if usage["total_tokens"] != usage["prompt_tokens"] + usage["completion_tokens"]:
        problems.append(f"the tokens do not add up: {usage}")
    return problems


def _image_to_text(_: AiRequest, answer: Mapping[str, Any], __: Sequence[MediaReport]) -> list[str]:
    return [] if isinstance(answer["text"], str) else ["`text` is no text"]


def _text_to_speech(_: AiRequest, answer: Mapping[str, Any], media: Sequence[MediaReport]) -> list[str]:
    if not isinstance(answer["audio"], Mapping) or [sound.content_type for sound in media] != ["audio/wav"]:
        return ["no WAV came back"]
    return []


_Check = Callable[[AiRequest, Mapping[str, Any], Sequence[MediaReport]], list[str]]
_CHECKS: Final[Mapping[str, _Check]] = {
    "text-to-image": _text_to_image,
    "image-to-image": _image_to_image,
    "image-to-video": _image_to_video,
    "upscale": _upscale,
    "audio-to-text": _audio_to_text,
    "segment-anything-2": _segment,
    "llm": _llm,
    "image-to-text": _image_to_text,
    "text-to-speech": _text_to_speech,
}
