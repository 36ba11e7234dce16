"""The base of every spec model."""

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from livefleet.spec.attribute_docs import attribute_docs

__all__ = ["SpecModel"]


class SpecModel(BaseModel):
    """Unknown keys are errors, values are frozen, every field's docstring reaches the JSON Schema."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        schema = handler(core_schema)
        docs = attribute_docs(cls)
        for name, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            if name in docs:
                field["description"] = docs[name]
        return schema
