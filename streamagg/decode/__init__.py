"""Payload to (event time, user), or to the reason why it is rejected.

The policy for every kind of input is docs/decoding.md; tests/conformance/decode.jsonl freezes it.

Two readers share the work. The *strict* one asks msgspec for exactly the two fields, with types and
bounds so narrow that whatever it accepts is certainly right; it reads nearly every record. The *patient*
one takes what the strict one refuses, one record at a time: it cuts the two values out of the document
as text and judges them by the rules. Where both accept, they agree.
"""

from streamagg.decode.decoder import Decoded, Decoder

__all__ = ["Decoded", "Decoder"]
