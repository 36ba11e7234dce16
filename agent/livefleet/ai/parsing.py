"""From fields on the wire to a job, with everything checked before any work is done."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from livefleet.ai.errors import BadRequest, Malformed, Unbillable
from livefleet.ai.jobs import AiJob
from livefleet.ai.kinds import JobFields, Kind

__all__ = ["check_fields", "job_of", "json_object", "parse_job"]


def json_object(body: bytes) -> Mapping[str, Any]:
    """The object that a body is, NaN and the infinities not taken. Raises ValueError."""
    found = from_json(body, allow_inf_nan=False)
    if not isinstance(found, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 -- the value of a text is meant
    return found


def parse_job(kind: Kind[Any], fields: Mapping[str, Any], upload: bytes | None = None) -> AiJob:
    """The job of a request's fields and its file. Raises as `check_fields` and `job_of`."""
    return job_of(kind, check_fields(kind, fields, upload), upload)


def check_fields(kind: Kind[Any], fields: Mapping[str, Any], upload: bytes | None = None) -> JobFields:
    """The fields by their types and limits; the file only has to be there. Raises BadRequest with every fault."""
    model_id = fields.get(kind.model_field)
    if not isinstance(model_id, str) or not model_id:
        raise BadRequest(kind.title, f"{kind.model_field}: a model has to be named")
    if kind.upload is not None and not upload:
        raise BadRequest(kind.title, f"{kind.upload.field}: Field required")
    try:
        return kind.fields.model_validate(fields)
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors(include_url=False))
        raise BadRequest(kind.title, "; ".join(faults)) from error


def job_of(kind: Kind[Any], parsed: JobFields, upload: bytes | None = None) -> AiJob:
    """The job of checked fields: what it costs, and what else its pipeline asks of it. Raises BadRequest, Malformed."""
    try:
        units = kind.units(parsed, upload)
    except Unbillable as error:
        raise Malformed(str(error)) from error
    except ValueError as error:
        raise BadRequest(kind.title, str(error)) from error
    if fault := kind.fault(parsed, upload):
        raise BadRequest(kind.title, fault)
    return AiJob(
        pipeline=kind.pipeline,
        model_id=getattr(parsed, kind.model_field),
        fields=parsed.model_dump(mode="json", exclude_none=True),
        units=units,
        upload=upload,
        streams=kind.streams(parsed),
        effort=kind.effort(parsed),
        media=kind.media(parsed),
    )
