"""From bytes to text: nothing is lost, nothing is normalised, and what is wrong is named."""

import bz2
import gzip
import hashlib
import io
import lzma
import os
import subprocess
import sys
import threading
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn import reading
from charrnn.errors import ConfigError, CorpusError
from charrnn.reading import BYTES, TextReader
from charrnn.tokenizer import utf8

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
PRINT = "import sys; from charrnn.reading import TextReader; r = TextReader('-'); "


def read(path, encoding="utf-8"):
    return "".join(TextReader(str(path), encoding))


def write(directory, data, name="text"):
    (directory / name).write_bytes(data)
    return directory / name


def complaint(path, encoding="utf-8"):
    with pytest.raises(CorpusError) as caught:
        read(path, encoding)
    assert str(caught.value).isprintable()
    return str(caught.value).removeprefix(str(path)).strip()


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffmark first",
        "a\r\nb\rc\n\r",
        "\0 NUL \x0b VT \x0c FF \x1c FS",
        "next\u0085line\u2028and\u2029more\n",
        unicodedata.normalize("NFC", "Việt Nam, Ωδή, é"),
        unicodedata.normalize("NFD", "Việt Nam, Ωδή, é"),
        "עברית العربية \u202e 👩‍👩‍👧‍👦 \U0010ffff \uffff",
        "",
    ],
)
def test_every_character_is_kept(tmp_path, text):
    assert read(write(tmp_path, text.encode())) == text


@given(st.text(max_size=40), st.integers(1, 5))
def test_chunks_of_any_size_join_to_the_text(tmp_path_factory, text, size):
    path = write(tmp_path_factory.mktemp("chunks"), text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_BYTES", size)
        chunks = list(TextReader(str(path)))
    assert "".join(chunks) == text
    assert all(chunks)


INVALID = [
    (b"\xff", 0, "ff"),
    (b"\xc0\x80", 0, "c0"),
    (b"\xed\xa0\x80", 0, "ed"),
    (b"\xf4\x90\x80\x80", 0, "f4"),
    (b"\xce\xce\xb1", 0, "ce"),
    (b"\xce\xb1\x80", 2, "80"),
    (b"\xe2\x82", 0, "e2"),  # cut at the end
    (b"\xf0\x9f\x98", 0, "f0"),
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 1 << 20])
@pytest.mark.parametrize(("data", "offset", "byte"), INVALID)
@pytest.mark.parametrize("before", ["", "abc", "é", "€a"])
def test_the_first_invalid_byte_is_named(tmp_path, monkeypatch, data, offset, byte, before, chunk):
    monkeypatch.setattr(reading, "CHUNK_BYTES", chunk)
    path = write(tmp_path, before.encode() + data)
    expected = f"byte {len(before.encode()) + offset} (0x{byte}) is invalid"
    assert complaint(path) == f"is not utf-8: {expected}; needs another --encoding"


def test_an_invalid_byte_at_the_edge_of_a_real_chunk_is_named(tmp_path):
    size = reading.CHUNK_BYTES
    path = write(tmp_path, b"a" * (size - 1) + b"\xe2\x82x")
    assert f"byte {size - 1} (0xe2)" in complaint(path)
    path = write(tmp_path, b"a" * size + "€".encode() + b"\xff")
    assert f"byte {size + 3} (0xff)" in complaint(path)


@pytest.mark.parametrize(
    ("data", "remedy"),
    [
        (gzip.compress(b"text", mtime=0), "is gzip data: give its name the ending .gz"),
        (bz2.compress(b"text"), "is bzip2 data: give its name the ending .bz2"),
        (lzma.compress(b"text"), "is xz data: give its name the ending .xz"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a PNG picture: needs text"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "is a JPEG picture: needs text"),
        (b"PK\x03\x04\x14\0\xff", "is a zip archive: unpack it first"),
        (b"%PDF-1.7\n\xe2\xe3", "is a PDF: needs text"),
        (b"\x7fELF\x02\x01\xff", "is a program: needs text"),
        ("hé".encode("utf-16"), "is UTF-16 text: needs --encoding utf-16"),
        (b"\xfe\xff\0h", "is UTF-16 text: needs --encoding utf-16"),
        ("hé".encode("utf-32"), "is UTF-32 text: needs --encoding utf-32"),
        (b"BZhello\xff", "is not utf-8: byte 7 (0xff) is invalid; needs another --encoding"),
    ],
)
def test_what_is_no_text_is_named_with_the_remedy(tmp_path, data, remedy):
    assert complaint(write(tmp_path, data)) == remedy


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_latin_text_in_utf_16_without_a_mark_is_named_too(tmp_path, encoding):
    text = "a letter\nbehind each NUL\n"
    path = write(tmp_path, text.encode(encoding))
    assert complaint(path) == f"is UTF-16 text: needs --encoding {encoding}"
    assert "".join(TextReader(str(path), encoding)) == text
    assert "".join(TextReader(str(path), "latin-1")) == text.encode(encoding).decode("latin-1")


def test_a_few_letters_with_nuls_between_them_are_text(tmp_path):
    text = "a\0b\0c\0d\0e\0f\0g\0hh"
    assert "".join(TextReader(str(write(tmp_path, text.encode())))) == text


def test_the_beginning_names_the_data_wherever_it_is_invalid(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "CHUNK_BYTES", 8)
    path = write(tmp_path, b"%PDF-1.7 valid for a while \xff")
    assert complaint(path) == "is a PDF: needs text"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-be", "latin-1", "cp1252", "iso8859-7"])
def test_another_encoding_gives_the_same_text(tmp_path, encoding):
    text = "naïve café\r\n" if encoding != "iso8859-7" else "Ωδή\r\n"
    assert read(write(tmp_path, text.encode(encoding)), encoding) == text


def test_bytes_of_another_encoding_are_named_too(tmp_path):
    assert "not ascii: byte 3 (0xc3)" in complaint(write(tmp_path, "caf\u00e9".encode()), "ascii")
    assert "not utf-16: byte 2 (0x61)" in complaint(write(tmp_path, b"\xff\xfea"), "utf-16")
    assert "BOM" in complaint(write(tmp_path, b"abcd"), "utf-16")
    assert "lone surrogate" in complaint(write(tmp_path, b"a+2AA-b"), "utf-7")


@pytest.mark.parametrize("encoding", ["klingon", "", "rot13", "base64", "utf-8\0", "é" * 99])
def test_an_encoding_that_is_none_is_refused(tmp_path, encoding):
    with pytest.raises(ConfigError, match="is not known: needs a name like utf-8"):
        read(write(tmp_path, b"a"), encoding)


@pytest.mark.parametrize("suffix", PACK)
def test_packed_texts_are_unpacked_and_known_by_their_stored_bytes(tmp_path, suffix):
    text = "Ωδή\r\n" * 1000
    data = PACK[suffix](text[:2000].encode()) + PACK[suffix](text[2000:].encode())
    path = write(tmp_path, data, f"text{suffix.upper()}")
    reader = TextReader(str(path))
    assert "".join(reader) == text
    assert reader.record is not None
    assert reader.record.path == str(path)
    assert reader.record.num_bytes == len(data)
    assert reader.record.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("suffix", PACK)
def test_damaged_packed_texts_are_named(tmp_path, suffix):
    data = PACK[suffix](os.urandom(50_000).hex().encode())
    for wrong in (data[: len(data) // 2], data[:-5], data[:20_000] + b"\0\1" + data[20_002:]):
        said = complaint(write(tmp_path, wrong, f"text{suffix}"))
        assert said.startswith("is damaged: ")
        assert said.endswith(f"; needs a whole {suffix} file")
    assert "is damaged" in complaint(write(tmp_path, b"plain text", f"text{suffix}"))


@pytest.mark.parametrize("suffix", [".bz2", ".xz"])
def test_what_stands_behind_packed_data_is_no_text_but_counts(tmp_path, suffix):
    data = PACK[suffix](b"text") + b"\xff" * 3_000_000
    reader = TextReader(str(write(tmp_path, data, f"text{suffix}")))
    assert "".join(reader) == "text"
    assert reader.record is not None
    assert reader.record.sha256 == hashlib.sha256(data).hexdigest()


def test_an_invalid_byte_of_a_packed_text_is_counted_unpacked(tmp_path):
    path = write(tmp_path, gzip.compress(b"a" * 5000 + b"\xff"), "text.gz")
    assert "unpacked byte 5000 (0xff)" in complaint(path)


def test_a_fifo_is_read_to_its_end_however_slowly_it_comes(tmp_path):
    path = tmp_path / "fifo"
    os.mkfifo(path)

    def feed():
        with path.open("wb", buffering=0) as pipe:
            for byte in "a€b".encode():
                pipe.write(bytes([byte]))

    writer = threading.Thread(target=feed)
    writer.start()
    assert read(path) == "a€b"
    writer.join()


def test_a_device_that_took_the_place_of_a_file_is_refused():
    assert "is a device" in complaint("/dev/zero")
    assert "cannot read" in complaint("/nowhere/at all")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "said"),
    [
        ("printf 'a\\r\\nb\\0'", "'a\\r\\nb\\x00'"),
        ("(printf 'a\\342'; sleep 0.2; printf '\\202\\254')", "'a\\u20ac'"),
    ],
)
def test_standard_input_is_a_text(shell, said):
    code = PRINT + "print(ascii(''.join(r)), r.record.path, r.record.num_bytes)"
    command = f'{shell} | "$0" -c "$1"'
    done = subprocess.run(["sh", "-c", command, sys.executable, code], capture_output=True)
    assert done.stdout.decode().startswith(f"{said} - "), done.stderr


@pytest.mark.parametrize(
    ("redirection", "said"),
    [("< /dev/zero", "is a device"), ("<&-", "is closed")],
)
def test_standard_input_that_is_no_text_is_refused(redirection, said):
    done = subprocess.run(
        ["sh", "-c", f'"$0" -c "$1" {redirection}', sys.executable, PRINT + "list(r)"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert said in done.stderr.decode().splitlines()[-1]


def test_a_pipe_that_has_nothing_yet_is_waited_for(monkeypatch):
    reading_end, writing_end = os.pipe()
    os.set_blocking(reading_end, False)
    timer = threading.Timer(0.2, lambda: (os.write(writing_end, b"late"), os.close(writing_end)))
    with open(reading_end) as stdin:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdin", stdin)
        timer.start()
        assert read("-") == "late"
    timer.join()


def test_an_error_of_the_disk_is_named(tmp_path, monkeypatch):
    class Broken(io.BytesIO):
        def readinto(self, buffer):
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(reading, "open_source", lambda source: Broken())
    assert complaint(tmp_path / "x.gz").endswith("Input/output error")


@given(st.binary(max_size=40), st.integers(1, 5))
def test_undecoded_bytes_come_back_from_chunks_of_any_size(tmp_path_factory, data, size):
    path = write(tmp_path_factory.mktemp("bytes"), data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "CHUNK_BYTES", size)
        chunks = list(TextReader(str(path), BYTES))
    assert b"".join(utf8(chunk) for chunk in chunks) == data


def test_undecoded_bytes_that_are_utf_8_are_read_as_text(tmp_path):
    assert read(write(tmp_path, "Ωδή".encode() + b"\xce"), BYTES) == "Ωδή\udcce"


def test_bytes_of_any_kind_of_file_are_taken_undecoded(tmp_path):
    for data in (b"\x89PNG\r\n", b"\x1f\x8bx", "wide".encode("utf-16-le") * 4, b"\xed\xa0\x80"):
        assert utf8(read(write(tmp_path, data), BYTES)) == data
    packed = write(tmp_path, gzip.compress(b"\xff\xfe"), "text.gz")
    assert utf8(read(packed, BYTES)) == b"\xff\xfe"  # a name that says so is unpacked
