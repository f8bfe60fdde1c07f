"""What bytes are if they are neither JSON nor compressed in a way that streamagg reads, by how they begin."""

import re
import shlex
from typing import Final, NamedTuple

HEAD_BYTES: Final = 512
"""Enough to tell; fewer may do. A tar archive is known by bytes 257 to 261, and its header has 512 bytes."""
REGISTRY_BYTES: Final = 5
"""What the clients of a schema registry put before a message: a zero, and the number of its schema."""

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
"""What some programs begin text in UTF-8 with."""


class Format(NamedTuple):
    """Something that streamagg does not read."""

    name: str
    """What is in it, as in "the records are …"."""
    filter: str | None = None
    """The command that turns it into text on standard output; ``{}`` is where the file goes."""


_UTF32: Final = Format("UTF-32 text", "iconv -f UTF-32 -t UTF-8 {}")
_UTF16: Final = Format("UTF-16 text", "iconv -f UTF-16 -t UTF-8 {}")

# The longer ones before those that they begin with.
_BEGINNINGS: Final = (
    (b"\xff\xfe\x00\x00", _UTF32),
    (b"\x00\x00\xfe\xff", _UTF32),
    (b"{\x00\x00\x00", Format("UTF-32 text", "iconv -f UTF-32LE -t UTF-8 {}")),
    (b"\x00\x00\x00{\x00\x00\x00", Format("UTF-32 text", "iconv -f UTF-32BE -t UTF-8 {}")),
    (b"\xff\xfe", _UTF16),
    (b"\xfe\xff", _UTF16),
    (b"{\x00", Format("UTF-16 text", "iconv -f UTF-16LE -t UTF-8 {}")),
    (b"\x00{\x00", Format("UTF-16 text", "iconv -f UTF-16BE -t UTF-8 {}")),
    (b"BZh", Format("compressed with bzip2", "bzip2 -dc {}")),
    (b"\xfd7zXZ\x00", Format("compressed with xz", "xz -dc {}")),
    (b"LZIP", Format("compressed with lzip", "lzip -dc {}")),
    (b"\x1f\x9d", Format("compressed with compress", "gzip -dc {}")),
    (b"\x04\x22\x4d\x18", Format("compressed with LZ4", "lz4 -dc {}")),
    (b"\xff\x06\x00\x00sNaPpY", Format("compressed with Snappy")),
    (b"PK\x03\x04", Format("a zip archive", "unzip -p {}")),
    (b"PK\x05\x06", Format("an empty zip archive")),
    (b"7z\xbc\xaf\x27\x1c", Format("a 7z archive", "7z x -so {}")),
    (b"PAR1", Format("a Parquet file")),
    (b"PARE", Format("an encrypted Parquet file")),
    (b"Obj\x01", Format("an Avro file", "avro-tools tojson {}")),
    (b"ORC", Format("an ORC file")),
    (b"ARROW1", Format("an Arrow file")),
)
_COMPRESSED: Final = (
    (b"\x1f\x8b", Format("compressed with gzip", "gzip -dc {}")),
    (b"\x28\xb5\x2f\xfd", Format("compressed with Zstandard", "zstd -dc {}")),
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""What no text has in it."""
_TAR: Final = Format("a tar archive", "tar -xOf {}")
_TAR_MAGIC: Final = b"ustar"
_TAR_PLACE: Final = 257
"""Where the header of POSIX says `ustar`."""


def foreign_format(head: bytes) -> Format | None:
    """What a file or record that begins like this is; None if it may be text. More than ``HEAD_BYTES`` are
    not looked at.

    gzip and Zstandard are named as well: whoever reads them asks about what is inside.
    """
    binary = _CONTROL.search(head, 0, HEAD_BYTES) is not None
    for beginning, form in (*_BEGINNINGS, *_COMPRESSED):
        if head.startswith(beginning):
            # Text may begin with the same letters.
            return form if binary or not beginning.isalnum() else None
    return _TAR if binary and head.startswith(_TAR_MAGIC, _TAR_PLACE) else None


def payload_format(payload: bytes) -> str | None:
    """What a record of a topic is, as in "the records are …"; None for what may be text.

    JSON behind the five bytes of a schema registry is text.
    """
    if (form := foreign_format(payload)) is not None:
        return form.name
    if payload[:1] != b"\0" or len(payload) <= REGISTRY_BYTES:
        return None
    if payload[REGISTRY_BYTES:].removeprefix(BYTE_ORDER_MARK).lstrip(b" \t\r\n")[:1] == b"{":
        return None
    schema = int.from_bytes(payload[1:REGISTRY_BYTES])
    return f"Avro or Protobuf behind the five bytes of a schema registry (schema {schema})"


def refusal(form: Format, source: str | None) -> str:
    """The sentences for a file of such a format; None is standard input."""
    said = f"{source or 'Standard input'} is {form.name}, and must be JSON lines, plain, gzip or Zstandard."
    if form.filter is None:
        return f"{said} Convert it first."
    file = form.filter.format("" if source is None else shlex.quote(source)).rstrip()
    return f"{said} Give - for the file and what is in it as standard input: {file} | streamagg … -"
