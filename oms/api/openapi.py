"""The OpenAPI 3.1 document, from `documented` on the views and what all operations share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from drf_spectacular.drainage import warn
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as SpectacularSchema
from drf_spectacular.plumbing import ResolvedComponent, is_list_serializer
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse
from rest_framework.serializers import ListSerializer

from oms.api import standard_responses
from oms.api.documentation import documentation_of, documented, takes_precondition
from oms.api.fields import CharField, MetadataField, MoneyField
from oms.api.serializers import InputSerializer
from oms.http.middleware.idempotency import accepts_key
from oms.http.problems import CONTENT_TYPE, Problem, status_of

Schema = dict[str, Any]


def _is_array(parameter: Mapping[str, Any]) -> bool:
    return bool(parameter.get("schema", {}).get("type") == "array")


class BearerScheme(OpenApiAuthenticationExtension):
    """The access token."""

    target_class = "oms.http.identity.IdentityAuthentication"
    name = "accessToken"

    def get_security_definition(self, auto_schema: Any) -> Schema:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The `access` token returned by POST /api/v1/auth/token.",
        }


class AutoSchema(SpectacularSchema):
    """Describes operations of views based on `oms.api.views`.

    Every operation gets the headers and errors that middleware adds. One without `documented` is a
    warning, which fails the check of the document.
    """

    view: Any

    @property
    def documentation(self) -> documented | None:
        """The documentation of the view's method."""
        name = getattr(self.view, "action", None) or self.method.lower()
        return documentation_of(getattr(self.view, name, None))

    def get_operation(self, *args: Any, **options: Any) -> Schema | None:
        operation = super().get_operation(*args, **options)
        if operation is None:
            return None
        if self.documentation is None:
            warn(f"{type(self.view).__name__} does not document {self.method} {self.path}.")
            return operation
        operation.setdefault("parameters", []).extend(self._standard_parameters())
        if self.view.permission_classes and not operation.get("security"):
            operation["security"] = [{}]
        if self.documentation.dry_run:
            schema = self._component("schemas", "DryRun", standard_responses.DRY_RUN)
            standard_responses.add_dry_run(operation["responses"], schema)
        if isinstance(self.documentation.request, Mapping):
            # The superclass takes bodies that a schema describes for optional.
            operation["requestBody"]["required"] = True
        for status, response in operation["responses"].items():
            response.setdefault("headers", {}).update(self._standard_headers(int(status)))
            response["description"] = response.get("description") or standard_responses.title(
                int(status)
            )
        operation["responses"].update(self._error_responses(self.documentation))
        return operation

    def get_summary(self) -> str | None:
        return self.documentation.summary if self.documentation else None

    def get_description(self) -> str:  # type: ignore[override]  # as in the superclass
        said = self.documentation.description if self.documentation else ""
        return said or super().get_description()

    def get_tags(self) -> list[str]:
        tokens = self._tokenize_path()
        return [" ".join(tokens[:2])] if tokens[:1] == ["admin"] else tokens[:1]

    def get_request_serializer(self) -> Any:
        return self.documentation.request if self.documentation else None

    def get_response_serializers(self) -> Any:
        said = self.documentation
        if said is None:
            return None
        response: Any = said.response
        if said.many and isinstance(response, type):
            response = response(many=True)
        examples = []
        if said.response_example is not None:
            examples.append(
                OpenApiExample(
                    "Example",
                    value=said.response_example,
                    response_only=True,
                    media_type="application/json",
                )
            )
        described: dict[Any, Any] = {}
        if response is None and not said.media_types:
            described[said.status] = OpenApiResponse(description="No content.")
        elif response is not None:
            described[said.status, "application/json"] = OpenApiResponse(
                response=response, examples=examples
            )
        for media_type, example in said.media_types.items():
            other = OpenApiExample("Example", value=example, media_type=media_type)
            described[said.status, media_type] = OpenApiResponse(response=str, examples=[other])
        if said.versioned and self.method == "GET":
            described[304] = OpenApiResponse(
                description="Not modified: the client already has this version."
            )
        return described

    def get_examples(self) -> list[OpenApiExample]:
        said = self.documentation
        if said is None or said.request_example is None:
            return []
        return [OpenApiExample("Example", value=said.request_example, request_only=True)]

    def get_override_parameters(self) -> list[Any]:
        if self.documentation is None:
            return []
        said = self.documentation.parameters
        query = [
            OpenApiParameter(
                name,
                type={"type": "string", **said.get(name, {}).get("schema", {})},
                # OpenAPI's default is to repeat the parameter for each item, which is refused here.
                explode=False if _is_array(said.get(name, {})) else None,
                description=said.get(name, {}).get("description", ""),
                required=said.get(name, {}).get("required", False),
            )
            for name in sorted(self.view.queries.get(self.view.current_action, ()))
        ]
        if self.documentation.dry_run:
            query.append(OpenApiParameter("dry_run", **standard_responses.DRY_RUN_PARAMETER))
        headers = [
            OpenApiParameter(name, type=str, location=OpenApiParameter.HEADER, description=text)
            for name, text in self.documentation.headers.items()
        ]
        return query + headers

    def _is_list_view(self, serializer: Any = None) -> bool:
        if is_list_serializer(serializer):
            return True
        return bool(self.method == "GET" and self.documentation and self.view.is_paged())

    def _get_paginator(self) -> Any:
        return super()._get_paginator() if self.view.is_paged() else None

    def _get_pagination_parameters(self) -> list[Schema]:
        if not self._is_list_view() or not self.view.is_paged():
            return []
        parameters: list[Schema] = self.view.paginator.get_schema_operation_parameters(self.view)
        return parameters

    def _get_filter_parameters(self) -> list[Schema]:
        if not self._is_list_view() or self.view.filterset_class is None:
            return []
        parameters = []
        for name, filter_ in self.view.filterset_class.base_filters.items():
            schema = {**filter_.parameter_schema}
            parameter = {"name": name, "in": "query", "schema": schema}
            if description := filter_.extra.get("help_text") or schema.pop("description", ""):
                parameter["description"] = description
            if schema["type"] == "array":
                parameter |= {"style": "form", "explode": False}
            parameters.append(parameter)
        return parameters

    def _resolve_path_parameters(self, variables: list[str]) -> list[Schema]:
        ids = [name for name in variables if name == "id" or name.endswith("_id")]
        others = [name for name in variables if name not in ids]
        return [
            *({**standard_responses.PATH_ID, "name": name} for name in ids),
            *super()._resolve_path_parameters(others),
        ]

    def _map_basic_serializer(self, serializer: Any, direction: str) -> Schema:
        schema: Schema = super()._map_basic_serializer(serializer, direction)
        if isinstance(serializer, InputSerializer):
            schema["additionalProperties"] = False
            schema |= serializer.constraints
        return schema

    def _map_serializer_field(
        self, field: Any, direction: str, bypass_extensions: bool = False
    ) -> Schema | None:
        if isinstance(field, MoneyField):
            meta = self._get_serializer_field_meta(field, direction)
            return {**field.schema(output=direction == "response"), **meta}
        schema: Schema | None = super()._map_serializer_field(field, direction, bypass_extensions)
        if schema is not None and isinstance(field, MetadataField):
            schema |= field.bounds
        if schema is not None and isinstance(field, ListSerializer):
            # REST framework validates them, but the superclass describes only those of ListField.
            many: Any = field  # the stubs of ListSerializer lack both bounds
            bounds = {"minItems": many.min_length, "maxItems": many.max_length}
            schema |= {name: bound for name, bound in bounds.items() if bound is not None}
        return schema

    def _insert_field_validators(self, field: Any, schema: Schema) -> None:
        super()._insert_field_validators(field, schema)
        if isinstance(field, CharField) and not {"enum", "format"} & set(schema):
            schema.setdefault("pattern", field.pattern)

    def _standard_parameters(self) -> list[Schema]:
        said = self.documentation
        names = ["X-Request-ID", "X-Request-Timeout-Ms"]
        if accepts_key(self.method, self.path):
            names.append("Idempotency-Key")
        if said and said.versioned and self.method == "GET":
            names.append("If-None-Match")
        elif takes_precondition(said, self.method):
            names.append("If-Match")
        return [
            self._component("parameters", name, standard_responses.PARAMETERS[name])
            for name in names
        ]

    def _standard_headers(self, status: int) -> Schema:
        said = self.documentation
        names = ["X-Request-ID", "RateLimit-Policy", "RateLimit"]
        if status < 400 and status != 204 and said and said.versioned:
            names.append("ETag")
        if accepts_key(self.method, self.path) and status not in standard_responses.ALIKE:
            names.append("Idempotent-Replayed")
        return {
            name: self._component("headers", name, standard_responses.HEADERS[name])
            for name in names
        }

    def _error_responses(self, said: documented) -> Schema:
        permissions = self.view.get_permissions()
        errors = standard_responses.errors_of(
            method=self.method,
            path=self.path,
            has_body=said.request is not None,
            has_key=accepts_key(self.method, self.path),
            takes_precondition=takes_precondition(said, self.method),
            is_for_staff=standard_responses.is_for_staff(permissions),
            declared=said.errors,
        )
        declared = {status_of(error_class) for error_class in said.errors}
        responses = {}
        for status, of_status in errors.items():
            response = self._error_response(status, of_status, said)
            if status in standard_responses.ALIKE and status not in declared:
                response = self._component("responses", f"Problem{status}", response)
            responses[str(status)] = response
        return responses

    def _error_response(self, status: int, problems: Sequence[Problem], said: documented) -> Schema:
        alike = status in standard_responses.ALIKE
        instance = (
            standard_responses.EXAMPLE_PATH if alike else standard_responses.example_path(self.path)
        )
        examples = {}
        for problem in problems:
            document = problem.document(
                instance=instance, request_id=standard_responses.EXAMPLE_REQUEST_ID
            )
            members = said.error_examples.get(problem.code, {})
            examples[problem.code] = {"summary": problem.detail, "value": {**document, **members}}
        schema = self._component("schemas", "Problem", standard_responses.PROBLEM)
        return {
            "description": standard_responses.title(status),
            "headers": self._standard_headers(status) | self._error_headers(status),
            "content": {CONTENT_TYPE: {"schema": schema, "examples": examples}},
        }

    def _error_headers(self, status: int) -> Schema:
        return {
            name: self._component("headers", name, standard_responses.HEADERS[name])
            for name in standard_responses.ERROR_HEADERS.get(status, ())
        }

    def _component(self, kind: str, name: str, schema: Schema) -> Schema:
        """A reference to the shared component `name`, which the document has once."""
        component = ResolvedComponent(name=name, type=kind, schema=schema, object=name)
        self.registry.register_on_missing(component)
        reference: Schema = component.ref
        return reference
