"""A vocabulary as tokenizer.json, in the format of Hugging Face's tokenizers library, and back.

A file is accepted only if it is, value for value, what charrnn writes for its own vocabulary.
Special symbols are in the vocabulary, not in `added_tokens`: a text may hold `<s>` literally.
"""

from typing import Any

from charrnn import strictjson
from charrnn.config import Level
from charrnn.errors import ModelError
from charrnn.splitting import GAPS, PATTERN

UNK, BOS, EOS = "<unk>", "<s>", "</s>"
SPECIALS = (UNK, BOS, EOS)
EOL = "<eos>"  # the newline of a pretokenized text
ANY = r"[\s\S]"
NUM_BYTES = 256


def byte_alphabet() -> list[str]:
    """Return the character that stands for each byte: the ByteLevel alphabet of GPT-2.

    Printable bytes stand for themselves, the others for the code points from 256 on.
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(256, 512))
    return [chr(byte if byte in printable else next(others)) for byte in range(NUM_BYTES)]


def split(pattern: str, behavior: str) -> dict[str, Any]:
    """Return the pre-tokenizer that splits by a regular expression."""
    return {
        "type": "Split",
        "pattern": {"Regex": pattern},
        "behavior": behavior,
        "invert": False,
    }


BYTE_LEVEL: dict[str, Any] = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": False,
}
BYTE_PAIRS: dict[str, Any] = {
    "type": "BPE",
    "dropout": None,
    "unk_token": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}
NEWLINES = {"type": "Replace", "pattern": {"String": "\n"}, "content": f" {EOL} "}


def description(level: Level, vocabulary: tuple[str, ...], pretokenized: bool) -> dict[str, Any]:
    """Return the content of tokenizer.json."""
    index = {symbol: i for i, symbol in enumerate(vocabulary)}
    model: dict[str, Any] = {"type": "WordLevel", "vocab": index, "unk_token": UNK}
    decoder: dict[str, Any] | None = {"type": "Fuse"}
    splitter = split(PATTERN if level == "word" else ANY, "Isolated")
    if level == "byte":
        model = {**BYTE_PAIRS, "vocab": index, "merges": []}
        splitter = decoder = BYTE_LEVEL
    elif pretokenized:
        splitter, decoder = split(GAPS, "Removed"), None
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": NEWLINES if pretokenized else None,
        "pre_tokenizer": splitter,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }


def vocabulary_to_json(level: Level, vocabulary: tuple[str, ...], pretokenized: bool) -> bytes:
    """Return tokenizer.json; the vocabulary stands in the order of its ids."""
    return strictjson.dumps(description(level, vocabulary, pretokenized), sort_keys=False)


def vocabulary_from_json(data: bytes, name: str) -> tuple[Level, tuple[str, ...], bool]:
    """Return (level, vocabulary, pretokenized); raise ModelError, naming the file `name`."""
    value = strictjson.loads(data, name)
    try:
        vocab = value["model"]["vocab"]
        found = value["pre_tokenizer"]
        if not isinstance(vocab, dict) or any(type(i) is not int for i in vocab.values()):
            raise ModelError(f"{name}: the vocabulary does not map symbols to integers")
        ids = sorted(vocab, key=vocab.__getitem__)
        if not ids or [vocab[symbol] for symbol in ids] != list(range(len(ids))):
            raise ModelError(f"{name}: the ids of the vocabulary are not 0, 1, 2, ..")
    except (KeyError, TypeError, AttributeError):
        raise ModelError(f"{name} is not a tokenizer of charrnn's") from None
    for level, pretokenized in (("char", False), ("byte", False), ("word", False), ("word", True)):
        expected = description(level, tuple(ids), pretokenized)  # type: ignore[arg-type]
        if found == expected["pre_tokenizer"]:
            if value != expected:
                raise ModelError(f"{name} holds more or other than a vocabulary of charrnn's")
            check_vocabulary(level, ids, name)
            return level, tuple(ids), pretokenized  # type: ignore[return-value]
    raise ModelError(f"{name} is not a tokenizer of charrnn's: it splits text in another way")


def check_vocabulary(level: str, symbols: list[str], name: str) -> None:
    """Raise ModelError where `symbols` cannot be the vocabulary of a model of that level."""
    plain = [symbol for symbol in symbols if symbol not in SPECIALS]
    if level == "char" and any(len(symbol) != 1 for symbol in plain):
        wrong = next(symbol for symbol in plain if len(symbol) != 1)
        raise ModelError(f"{name}: {strictjson.shown(wrong)} is not one character")
    if level == "byte" and symbols[:NUM_BYTES] != byte_alphabet():
        raise ModelError(f"{name}: the first {NUM_BYTES} symbols are not the bytes")
    if level == "byte" and any(symbol not in SPECIALS for symbol in symbols[NUM_BYTES:]):
        raise ModelError(f"{name}: has more symbols than bytes and special ones")
    if level == "word" and UNK not in symbols:
        raise ModelError(f"{name}: has no {UNK}")
