"""Whatever the body of an error is, it becomes one short line without names."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credsync.wire import read_error


class TestComplaints:
    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (b'{"percent_grade": ["This field is required."]}', "percent_grade: This field is required."),
            (b'{"a": ["One.", "Two."], "b": ["Three."]}', "a: One.; a: Two.; b: Three."),
            (b'{"credential": {"course_run_key": "No such"}}', "credential.course_run_key: No such"),
            (b'{"non_field_errors": ["Expected a dictionary."]}', "Expected a dictionary."),
            (b'{"attributes": [{}, {"name": ["Blank."]}]}', "attributes.name: Blank."),
            (b'["One.", {"detail": "Two."}, 3, true, null]', "One.; Two.; 3"),
            (b'"just text"', "just text"),
            (b"\n<html><title> Not\n Found </title><p>x</p></html>", "Not Found"),
            (
                b"<title></title><style>p {}</style><p>Bad &lt;Request&gt;<br>really</p><script>x()",
                "Bad <Request> really",
            ),
            (b"upstream\r\n\x1b[31mtimed\x00out", "upstream [31mtimed out"),
            (b'{"cut": ["o', '{"cut": ["o'),
            (b"", "no reason given"),
            (b" \n", "no reason given"),
            (b"\xff\xfe\xfd", "\ufffd\ufffd\ufffd"),
            (b"x" * 500, "x" * 199 + "…"),
            (b"[" * 100_000, "[" * 199 + "…"),
        ],
    )
    def test_any_body(self, body: bytes, text: str) -> None:
        """Whatever an error's body is, it becomes one short line."""
        assert read_error(body) == text

    @pytest.mark.parametrize(
        ("body", "text"),
        [
            (
                b'{"detail": "[edx-drf-extensions] User retrieval failed for username svc."}',
                "[edx-drf-extensions] User retrieval failed for username ***",
            ),
            (b'{"detail": "No user ADA or ada_2"}', "No user *** or ***_2"),
            (b"<title>IntegrityError for &#97;da</title>", "IntegrityError for ***"),
            (b"Authorization: JWT eyJhbGciOi.eyJzdWIi.c2ln-_x refused", "Authorization: JWT *** refused"),
        ],
    )
    def test_names_and_tokens_are_hidden(self, body: bytes, text: str) -> None:
        """Neither the learner's name, nor the service user's, nor a token is repeated."""
        assert read_error(body, "ada") == text

    @given(
        st.recursive(
            st.text() | st.integers() | st.none(), lambda part: st.lists(part) | st.dictionaries(st.text(), part)
        )
    )
    def test_every_complaint_is_one_short_line(self, content: object) -> None:
        """Whatever JSON an error holds, what is said of it is printable, short and never empty."""
        line = read_error(json.dumps(content).encode())
        assert 0 < len(line) <= 200
        assert line.isprintable()

    @pytest.mark.parametrize("username", ["a.b", "(", "a+b@example.com", "ada  lovelace", "Ünï"])
    def test_any_username_is_hidden(self, username: str) -> None:
        """A username is hidden to the letter, whatever signs are in it, and nothing else is."""
        assert read_error(f"no user [{username}] but axb".encode(), username) == "no user [***] but axb"
