"""charrnn from Python: train a model, load it, sample from it, score a text.

Options have the names and defaults of the command line's. Nothing is printed.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from charrnn.config import OnUnknown, SampleConfig, TrainConfig
from charrnn.draft import Piece
from charrnn.encoding import EncodedText, encode_text
from charrnn.errors import ConfigError, CorpusError
from charrnn.modeldir import StoredModel, document_of, find_model, read_model
from charrnn.reports import Report
from charrnn.request import RunRequest
from charrnn.run import run_training
from charrnn.sampler import sample

if TYPE_CHECKING:
    from charrnn.evaluate import Evaluation
    from charrnn.model import LanguageModel

PathName = str | PathLike[str]


def train(
    texts: PathName | Sequence[PathName],
    *,
    output: PathName | None = None,
    valid: PathName | Sequence[PathName] = (),
    encoding: str | None = None,
    resume: bool = False,
    force: bool = False,
    init_from: PathName | None = None,
    **options: Any,
) -> Iterator[Report]:
    """Train on files and yield reports (charrnn.reports), an EndReport last.

    `options` are fields of charrnn.config.TrainConfig, such as max_time=60 (seconds) or
    hidden_size=512; what is left out is chosen as on the command line. The run is in `output`
    (default runs/<stem of the first text>). Stop by closing the iterator: what was saved stays.
    Raises CharRNNError at the first report where the request cannot be carried out.
    """
    unknown = set(options) - set(TrainConfig.__dataclass_fields__)
    if unknown:
        raise ConfigError(f"unknown options: {', '.join(sorted(unknown))}")
    request = RunRequest(
        texts=as_names(texts),
        output=None if output is None else Path(output),
        config=TrainConfig(**options),
        valid=as_names(valid),
        encoding=encoding,
        resume=resume,
        force=force,
        init_from=None if init_from is None else str(init_from),
        given=frozenset(options),
    )
    return run_training(request)


def as_names(paths: PathName | Sequence[PathName]) -> tuple[str, ...]:
    """Return one or many paths as strings; raise ConfigError for what is no path."""
    found = (paths,) if isinstance(paths, str | PathLike) else paths
    if not isinstance(found, Sequence) or not all(isinstance(p, str | PathLike) for p in found):
        raise ConfigError(f"{paths!r} is no path and no sequence of paths")
    return tuple(str(path) for path in found)


def as_text(text: str) -> str:
    """Return `text`; raise ConfigError for what is none, or cannot be written in UTF-8."""
    if not isinstance(text, str):
        raise ConfigError(f"the text is of type {type(text).__name__}: needs str")
    try:
        text.encode("utf-8", "surrogateescape")  # which stand for bytes, at byte level
    except UnicodeEncodeError as error:
        raise ConfigError(f"the text cannot be written in UTF-8: {error.reason}") from None
    return text


def load(model: PathName | None = None) -> "Model":
    """Return the model in a directory, or of a checkpoint file.

    None means $CHARRNN_MODEL, else the newest under runs/. Does not import torch. Raises ModelError
    where the model is damaged, ConfigError where there is none.
    """
    return Model(read_model(find_model(None if model is None else str(model))))


@dataclass(frozen=True)
class Model:
    """A trained network with its vocabulary; `stored` has its sizes, weights and files."""

    stored: StoredModel

    def sample(self, prompt: str = "", **options: Any) -> str:
        """Return new text that goes on from `prompt`, which is not repeated.

        `options` are those of `stream`.
        """
        return "".join(self.stream(prompt, **options))

    def stream(
        self,
        prompt: str = "",
        *,
        seed: int | None = None,
        stop: str | Sequence[str] = (),
        on_unknown: OnUnknown = "error",
        **options: Any,
    ) -> Iterator[str]:
        """Yield new text as it is drawn.

        `options` are fields of charrnn.config.SampleConfig, such as temperature=0.8, top_k=40 or
        length=200 (tokens; 0 = without end); what is left out comes from generation_config.json.
        The same seed gives the same text; None takes a random one. Ends before `stop`, or any
        string of it. Raises TokenizerError for a character of `prompt` that the model does not
        know, ConfigError for an option out of its range.
        """
        unknown = set(options) - set(SampleConfig.__dataclass_fields__)
        if unknown:
            raise ConfigError(f"unknown options: {', '.join(sorted(unknown))}")
        config = replace(self.stored.generation, **options)
        events = sample(
            self.stored,
            config,
            prompt=as_text(prompt),
            seed=secrets.randbits(32) if seed is None else seed,
            stops=(stop,) if isinstance(stop, str) else tuple(stop),
            on_unknown=on_unknown,
            keep_text=False,
        )
        return (event.text for event in events if isinstance(event, Piece))

    def score(self, text: str, *, exact: bool = False) -> "Evaluation":
        """Return the loss of `text`: .loss (nats per token), .bits_per_char, .perplexity ..

        A model of documents finds them in it as in training: lines, paragraphs, or all of it.
        `exact` makes one single pass instead of parallel ones, which agree within 1e-4. Imports
        torch. Raises CorpusError for a text without two known tokens.
        """
        from charrnn.evaluate import evaluate

        encoded, bos_id = self._encode(text)
        tokenizer = self.stored.tokenizer
        sizes = (tokenizer.token_chars(), tokenizer.token_bytes())
        return evaluate(
            self.network, encoded.ids, sizes, bos_id, exact=exact, num_unknown=encoded.num_unknown
        )

    def surprisal(self, text: str, *, exact: bool = True) -> list[tuple[str, float]]:
        """Return (token, -ln p of it given all before it) for each token of `text`, in nats.

        nan for the first token of a stream, which nothing predicts. The tokens of a byte model
        beyond ASCII are single surrogates, as of bytes.decode("utf-8", "surrogateescape").
        Imports torch.
        """
        from charrnn.evaluate import surprisals

        encoded, bos_id = self._encode(text)
        nats = surprisals(self.network, encoded.ids, bos_id, exact=exact)
        tokenizer = self.stored.tokenizer
        pieces: Sequence[str] = tokenizer.pieces
        if tokenizer.level == "byte":
            pieces = [piece.decode("utf-8", "surrogateescape") for piece in tokenizer.piece_bytes]
        return [(pieces[int(i)], float(n)) for i, n in zip(encoded.ids, nats, strict=True)]

    @cached_property
    def network(self) -> "LanguageModel":
        """The torch module, in eval mode, on the CPU."""
        from charrnn.model import LanguageModel

        network = LanguageModel(self.stored.config)
        network.load_weights(self.stored.weights)
        return network.eval()

    def _encode(self, text: str) -> tuple[EncodedText, int | None]:
        """Return `text` as the model read its own, and the id of <s> if it knows documents."""
        tokenizer = self.stored.tokenizer
        bos_id = tokenizer.bos_id
        encoded = encode_text(tokenizer, as_text(text), document_of(self.stored))
        if len(encoded.ids) < 2:
            raise CorpusError(f"the text has {len(encoded.ids)} known tokens: needs at least 2")
        return encoded, bos_id

    def __repr__(self) -> str:
        config = self.stored.config
        size = f"{config.num_layers} x {config.hidden_size} {config.cell_type}"
        return f"<charrnn.Model {str(self.stored.path)!r}: {size}, {config.vocab_size} symbols>"
