"""What a request's body says, by its content type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

__all__ = ["Payload", "UnreadableBodyError", "decode_body"]

# More form fields than this and the framework refuses the request before any view sees it.
MAX_FORM_FIELDS = 1000


class UnreadableBodyError(Exception):
    """A body that cannot be read: the status to answer, and the detail, None where the answer is a bare page."""

    def __init__(self, status: int, detail: str | None) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """A decoded body: any JSON value, or a form's fields as text, of which the service treats the empty ones apart."""

    content: object
    is_form: bool = False


def decode_body(content_type: str, body: bytes) -> Payload:
    """Read a body as its content type says; an empty one is an empty set of fields.

    Raises:
        UnreadableBodyError: If the content type is not served, or the body is not what it says.
    """
    media = Message()
    media["content-type"] = content_type
    kind = media.get_content_type() if content_type else ""
    if kind == "application/json":
        return Payload(content=_decode_json(body, str(media.get_param("charset", "utf-8"))) if body else {})
    if kind == "application/x-www-form-urlencoded":
        return Payload(content=_decode_form(body), is_form=True)
    if kind == "multipart/form-data":
        return Payload(content=_decode_multipart(content_type, body), is_form=True)
    if not body:
        return Payload(content={})
    raise UnreadableBodyError(415, f'Unsupported media type "{content_type}" in request.')


def _decode_json(body: bytes, charset: str) -> object:
    try:
        return json.loads(body.decode(charset), parse_constant=_refuse_constant)
    except (ValueError, LookupError) as exc:
        raise UnreadableBodyError(400, f"JSON parse error - {exc}") from exc
    except RecursionError as exc:  # nested 100,000 deep: the service's own parser gives up the same way
        raise UnreadableBodyError(500, None) from exc


def _refuse_constant(name: str) -> object:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")


def _decode_form(body: bytes) -> dict[str, object]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as exc:
        raise UnreadableBodyError(400, None) from exc
    return dict(pairs)


def _decode_multipart(content_type: str, body: bytes) -> dict[str, object]:
    form = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = list(form.iter_parts())
    if len(parts) > MAX_FORM_FIELDS:
        raise UnreadableBodyError(400, None)
    return {str(part.get_param("name", header="content-disposition")): _text_of(part) for part in parts}


def _text_of(part: Message) -> str:
    content = part.get_payload(decode=True)
    return content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
