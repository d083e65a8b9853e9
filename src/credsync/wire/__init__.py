"""Updates to requests and answers to outcomes, as the Credentials API has them. No I/O, no clock.

`encode_update` makes the body to post to `endpoint_of`; `decode_response` says what to do about the answer, so that a
sink is left with a loop around its client. What the service does is measured: Credentials at commit b6dcad5c0aa1.
"""

from credsync.wire.answers import (
    MAX_PAUSE,
    MAX_TRIES,
    Decision,
    Pause,
    RenewToken,
    Retry,
    StopRun,
    decode_response,
)
from credsync.wire.bodies import Endpoint, encode_update, endpoint_of
from credsync.wire.complaints import read_error
from credsync.wire.rows import find_differences, target_of

__all__ = [
    "MAX_PAUSE",
    "MAX_TRIES",
    "Decision",
    "Endpoint",
    "Pause",
    "RenewToken",
    "Retry",
    "StopRun",
    "decode_response",
    "encode_update",
    "endpoint_of",
    "find_differences",
    "read_error",
    "target_of",
]
