"""The OpenAPI 3.1 document: paths by hand, bodies from the models that check them."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from earshot.runtime.interfaces.api.bodies import AnswerBody, AskBody, ErrorBody, HealthBody, SceneBody
from earshot.runtime.interfaces.api.documents import version

_ERRORS = {
    400: "No JSON, or a question that cannot be asked.",
    401: "The token is missing or wrong.",
    403: "A page of another site, or another name of this server.",
    408: "The body did not come in time.",
    413: "Too large.",
    415: "Not application/json.",
    422: "A body, parameter or recording that cannot be used.",
    426: "Asked without the upgrade to a WebSocket.",
    429: "Too many requests.",
    503: "Too many questions wait, this machine is too busy with hearing, or the listener is being closed.",
    504: "No answer in time.",
}
_LIVE = (
    "WebSocket. Server: `{event, data}`, first `snapshot`, then scene, new, moved, ended, capture, note, effort, watch (one "
    "has fired), health, end, and to whoever asked: asked, text, answer, cancelled, watches, error. Client: `{command, data}` "
    "with ask (question, choices?, think?, id?; a follow-up like 'and how far?' is completed, `asked` tells to what), cancel "
    "(id?), watch.add (text), watch.list and watch.remove (watch). Browsers show the token as subprotocol `earshot.token.` + base64url, beside `earshot`."
)


@cache
def openapi_document() -> dict[str, Any]:
    """The document."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in (AskBody, AnswerBody, ErrorBody, HealthBody, SceneBody)],
        ref_template="#/components/schemas/{model}",
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Earshot", "version": version(), "description": "A binaural listener you can ask."},
        "paths": _paths(),
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _paths() -> dict[str, Any]:
    now = {"required": True, "content": {"application/json": {"schema": _ref("AskBody")}}}
    recording = {
        "required": True,
        "description": "Binaural WAV, FLAC or OGG file, left ear first.",
        "content": {"application/octet-stream": {}, "audio/wav": {}, "audio/flac": {}, "audio/ogg": {}},
    }
    ask_errors = (400, 401, 403, 408, 413, 422, 429, 503, 504)
    return {
        "/api/scene": {"get": _operation("scene", "What sounds now.", "SceneBody", (401, 403, 429))},
        "/api/health": {"get": _operation("health", "Whether it hears.", "HealthBody", (401, 403, 429))},
        "/api/ask": {
            "post": {
                **_operation(
                    "ask",
                    "Ask about the last 10 seconds, or about the past if it is remembered.",
                    "AnswerBody",
                    (*ask_errors, 415),
                ),
                "requestBody": now,
            }
        },
        "/api/ask-file": {
            "post": {
                **_operation("askFile", "Ask about a recording sent along.", "AnswerBody", ask_errors),
                "parameters": _file_parameters(),
                "requestBody": recording,
            }
        },
        "/api/live": {
            "get": {
                "operationId": "live",
                "summary": "Events as they happen, and questions.",
                "description": _LIVE,
                "responses": {
                    "101": {"description": "Upgraded to a WebSocket."},
                    **_responses((401, 403, 426, 429, 503)),
                },
            }
        },
    }


def _file_parameters() -> list[dict[str, Any]]:
    fields = AskBody.model_json_schema()["properties"]
    choices = fields["choices"]["anyOf"][0]
    return [
        {"name": "question", "in": "query", "required": True, "schema": fields["question"]},
        {"name": "choices", "in": "query", "explode": True, "schema": choices},
        {"name": "think", "in": "query", "schema": {"type": "boolean"}},
    ]


def _operation(name: str, summary: str, body: str, errors: tuple[int, ...]) -> dict[str, Any]:
    fine = {"description": summary, "content": {"application/json": {"schema": _ref(body)}}}
    return {"operationId": name, "summary": summary, "responses": {"200": fine, **_responses(errors)}}


def _responses(statuses: tuple[int, ...]) -> dict[str, Any]:
    body = {"application/json": {"schema": _ref("ErrorBody")}}
    return {str(status): {"description": _ERRORS[status], "content": body} for status in sorted(statuses)}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
