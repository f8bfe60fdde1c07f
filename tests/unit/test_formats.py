"""Formats by their first bytes."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
import zstandard

from streamagg.decode.formats import HEAD_BYTES, foreign_format, payload_format, refusal

TEXT = b'{"ts":1468244384,"uid":"u1"}\n' * 40


def tarred(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(member := tarfile.TarInfo("records"), io.BytesIO(content))
        assert member.size == 0
    return out.getvalue()


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("records", content)
    return out.getvalue()


FORMATS = {
    "bzip2": bz2.compress(TEXT),
    "xz": lzma.compress(TEXT),
    "LZ4": bytes.fromhex("04224d18") + TEXT,
    "zip archive": zipped(TEXT),
    "tar archive": tarred(TEXT),
    "7z": b"7z\xbc\xaf\x27\x1c\x00\x04",
    "Parquet": b"PAR1\x15\x04",
    "Avro": b"Obj\x01\x04\x14avro.codec",
    "ORC": b"ORC\x08\x03",
    "UTF-16": TEXT.decode().encode("utf-16"),
    "UTF-16 ": TEXT.decode().encode("utf-16-le"),
    "UTF-16  ": TEXT.decode().encode("utf-16-be"),
    "UTF-32": TEXT.decode().encode("utf-32"),
    "UTF-32 ": TEXT.decode().encode("utf-32-le"),
    "UTF-32  ": TEXT.decode().encode("utf-32-be"),
    "gzip": gzip.compress(TEXT),
    "Zstandard": zstandard.compress(TEXT),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_named_by_its_first_bytes(name: str) -> None:
    form = foreign_format(FORMATS[name][:HEAD_BYTES])
    assert form is not None
    assert name.strip() in form.name


@pytest.mark.parametrize(
    "text",
    [TEXT, b"", b"\xef\xbb\xbf" + TEXT, b" \n", b"[1]\n", b"<a/>", b"ts,uid\n1,2\n", b"\0" * 4],
)
def test_text_is_no_format(text: bytes) -> None:
    assert foreign_format(text) is None
    assert payload_format(text) is None


def test_a_refusal_says_what_to_do() -> None:
    form = foreign_format(FORMATS["xz"])
    assert form is not None
    assert refusal(form, "my events.xz") == (
        "my events.xz is compressed with xz, and must be JSON lines, plain, gzip or Zstandard."
        " Give - for the file and what is in it as standard input: xz -dc 'my events.xz' | streamagg … -"
    )
    assert refusal(form, None).startswith("Standard input is compressed with xz, ")
    assert refusal(form, None).endswith(": xz -dc | streamagg … -")
    parquet = foreign_format(FORMATS["Parquet"])
    assert parquet is not None
    assert refusal(parquet, "a").endswith("Convert it first.")


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (
            b"\0\0\0\0\x2a\x02\x04u1",
            "Avro or Protobuf behind the five bytes of a schema registry (schema 42)",
        ),
        (b"\0\0\0\0\x2a" + TEXT, None),
        (b"\0\0\0\0\x2a\xef\xbb\xbf\n " + TEXT, None),
        (b"\0\0\0\0\x2a", None),
        (TEXT.decode().encode("utf-16"), "UTF-16 text"),
    ],
)
def test_what_a_record_of_a_topic_is(payload: bytes, told: str | None) -> None:
    assert payload_format(payload) == told


def test_a_schema_may_have_the_number_that_looks_like_a_brace() -> None:
    assert payload_format(b"\0\0\0{\7" + TEXT) is None


@pytest.mark.parametrize(
    "text", [b"ORCHESTRA,1\n", b"BZh9\n", "PAR1 é\t\r\n".encode(), b"x" * 257 + b"ustar"]
)
def test_text_that_begins_with_the_letters_of_a_format_is_none(text: bytes) -> None:
    assert foreign_format(text) is None
