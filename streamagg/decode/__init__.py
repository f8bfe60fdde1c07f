"""Payload to event time, user, group and values, or to the reason why it is rejected.

The policy for every kind of input is docs/decoding.md; tests/conformance/decode.jsonl freezes it. Imports
model. Begin with ``decoder``.

A *fast* reader accepts only what is certainly right, which is nearly every record: the *native* one, in C, or
the *strict* one, where no C compiler was at hand, which asks msgspec for exactly time and user with types and
bounds that are narrow enough, and refuses all records of which more is wanted. The *patient* reader takes
what the fast one refuses, one record at a time: it cuts the values out of the document as text and judges
them by the rules. Where two accept, they agree.
"""

from streamagg.decode.decoder import Decoded, Decoder
from streamagg.decode.native import AVAILABLE as NATIVE_AVAILABLE

__all__ = ["NATIVE_AVAILABLE", "Decoded", "Decoder"]
