"""Image-to-video: a runner gives frames, orchestrators and gateways a film. Whoever asks a runner joins them.

Source: go-livepeer core/ai_orchestrator.go ImageToVideo, core/ai_worker.go.
"""

from livefleet.ai import AiJob, AiResult, Media
from livefleet.kernel import OutsideWorld, Refused
from livefleet.media.film import film_of

__all__ = ["FILM_FPS", "with_film"]

FILM_FPS = 7
"""Of a film whose request names none; the runner takes another for itself."""

_SIZE = (1024, 576)
_MAX_FRAMES = 256


async def with_film(job: AiJob, result: AiResult) -> AiResult:
    """The result with its frames joined to one MP4; a result without frames as it is.

    Raises Refused with the text for the gateway.
    """
    if "frames" not in result.body:
        return result
    batches = result.body["frames"]
    if not isinstance(batches, list | tuple) or len(batches) != 1:
        found = len(batches) if isinstance(batches, list | tuple) else 0
        raise Refused(f"unexpected number of image-to-video outputs expected=1 actual={found}", status=500)
    frames, first = _frames(result, batches[0])
    fps = job.fields.get("fps", FILM_FPS)
    size = (job.fields.get("width", _SIZE[0]), job.fields.get("height", _SIZE[1]))
    try:
        film = await film_of(frames, fps=fps, size=size)
    except OutsideWorld as error:
        raise Refused(f"image-to-video container sent no film: {error}", status=500) from error
    return AiResult({"images": [dict(first) | {"url": "0"}]}, {"0": Media(film, "video/mp4")})


def _frames(result: AiResult, entries: object) -> tuple[list[bytes], dict[str, object]]:
    """The pictures, and the first one's entry. Raises Refused."""
    if not isinstance(entries, list | tuple) or not 0 < len(entries) <= _MAX_FRAMES:
        raise Refused("image-to-video container sent no frames", status=500)
    try:
        frames = [result.media[entry["url"]].data for entry in entries]
        return frames, {"seed": int(entries[0]["seed"]), "nsfw": bool(entries[0]["nsfw"])}
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"image-to-video container sent broken frames: {error!r}", status=500) from error
