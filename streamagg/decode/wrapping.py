"""What a document may come in: behind the five bytes of a schema registry, and behind a byte order mark."""

from streamagg.decode.formats import BYTE_ORDER_MARK, REGISTRY_BYTES
from streamagg.model.settings import Framing


def unwrapped(payload: bytes, framing: Framing) -> bytes | None:
    """The document; None if the five bytes are absent that must be there."""
    framed = payload[:1] == b"\0" and len(payload) >= REGISTRY_BYTES
    if framing == "registry" and not framed:
        return None
    if framing != "none" and framed:
        payload = payload[REGISTRY_BYTES:]
    return payload.removeprefix(BYTE_ORDER_MARK)
