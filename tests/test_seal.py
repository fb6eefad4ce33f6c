"""A seal is of all bytes, and there is one."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charrnn.errors import ModelError
from charrnn.seal import ZEROS, check_seal, seal

HEAD = b'head {"a": 1, "record_sha256": "%s"}' % ZEROS.encode()


@given(st.lists(st.binary(max_size=20), max_size=4))
def test_the_seal_is_the_sha256_of_the_bytes_with_its_digits_as_zeros(blocks):
    data = seal([HEAD, *blocks], "record_sha256")
    digest = hashlib.sha256(HEAD + b"".join(blocks)).hexdigest()
    assert data == HEAD.replace(ZEROS.encode(), digest.encode()) + b"".join(blocks)
    assert check_seal(data, "f", "record_sha256") == digest


def test_another_key_within_or_beside_the_right_one_is_no_seal():
    data = seal([b'{"x_sha256": "%s", "sha256": "%s"}' % (b"1" * 64, ZEROS.encode())])
    check_seal(data, "f")
    for wrong in (b"{}", HEAD, b'{"sha256": "xyz"}', b'{"sha256": "%s"}' % (b"A" * 64)):
        with pytest.raises(ModelError, match=r"^f: needs one sha256, has 0$"):
            check_seal(wrong, "f")


def test_two_seals_are_refused_and_what_follows_the_header_is_not_searched():
    twice = b'{"sha256": "%s", "b": {"sha256": "%s"}}' % (ZEROS.encode(), ZEROS.encode())
    with pytest.raises(ModelError, match="needs one sha256, has 2"):
        seal([twice])
    with pytest.raises(ModelError, match=r"^f: needs one sha256, has 2$"):
        check_seal(twice, "f")
    head = b'{"sha256": "%s"}' % ZEROS.encode()
    data = seal([head, head])
    check_seal(data, "f", size=len(head))
