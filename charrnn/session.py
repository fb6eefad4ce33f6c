"""A prepared run -> a session at step 0: the network, its optimizer and its windows."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.batches import Batches, DocumentBatches, StreamBatches
from charrnn.config import RESET_SHARE, ModelConfig, TrainConfig
from charrnn.costs import Facts
from charrnn.dataset import Dataset
from charrnn.machine import settle_machine
from charrnn.model import Dropouts, LanguageModel
from charrnn.modeldir import StoredModel
from charrnn.plan import make_plan
from charrnn.ranks import Ranks
from charrnn.shards import Shards, num_shards
from charrnn.softmax import chances_of, count_symbols, entropy_of, unigram_bias
from charrnn.tensors import Tensors
from charrnn.tokenizer import Tokenizer
from charrnn.trainer import Best, Session, make_optimizer

STEPS_AHEAD = 8  # on a GPU, which then waits for the host once in as many steps


@dataclass(frozen=True)
class Setup:
    """What does not change while a network is trained."""

    model: ModelConfig
    config: TrainConfig  # without gaps
    dataset: Dataset
    reason: str
    notes: tuple[str, ...]
    initial: StoredModel | None

    @property
    def bos_id(self) -> int | None:
        """The id that starts a document; None where the text is one endless stream."""
        return None if self.config.document == "stream" else self.dataset.tokenizer.bos_id


def make_setup(config: TrainConfig, dataset: Dataset, initial: StoredModel | None) -> Setup:
    """Choose all that the options leave open; sets torch's threads."""
    config = settle_machine(config)
    bos_id = dataset.tokenizer.bos_id
    documents = None
    if config.document != "stream":
        documents = int(np.count_nonzero(dataset.train == bos_id))
    vocab_size = len(dataset.tokenizer)
    facts = Facts(
        len(dataset.train),
        vocab_size,
        config.device.partition(":")[0],
        documents,
        held_out=len(dataset.valid) > 0,
        is_pretrained=initial is not None,
    )
    if facts.has_words:
        counts = count_symbols(dataset.train, vocab_size)
        facts = replace(facts, unigram_entropy=entropy_of(counts))
    plan = make_plan(config, facts)
    config = plan.config
    model = ModelConfig(
        vocab_size=vocab_size,
        cell_type=config.cell,
        nonlinearity=config.nonlinearity,
        embedding_size=value(config.embedding_size),
        hidden_size=value(config.hidden_size),
        num_layers=value(config.num_layers),
        tie_weights=bool(config.tie_weights),
        document=config.document,
    )
    return Setup(model, config, dataset, plan.reason, plan.notes, initial)


def value(number: int | None) -> int:
    """Return a number that a plan has filled in."""
    assert number is not None
    return number


def build_session(setup: Setup, ranks: Ranks | None = None) -> Session:
    """Return a new session at step 0, on the device of its configuration."""
    config, device = setup.config, torch.device(setup.config.device)
    dropouts = Dropouts(
        config.input_dropout or 0.0, config.dropout or 0.0, config.weight_drop or 0.0
    )
    model = LanguageModel(setup.model, dropouts).to(device)
    chances = symbol_chances(setup, device)
    model.by_row = goes_by_row(device, chances)
    fp16 = config.precision == "fp16"
    threads = value(config.threads)
    streams = value(config.batch_size) // (1 if ranks is None else ranks.size)
    parts = num_shards(setup.model, device.type, threads, streams, config.precision)
    shards = Shards(model, parts, threads) if parts > 1 else None
    session = Session(
        model=model,
        optimizer=make_optimizer(model, config, shards),
        scaler=torch.amp.GradScaler(device.type, enabled=fp16),
        batches=make_batches(setup),
        config=config,
        generator=torch.Generator(device),
        shards=shards,
        ranks=ranks,
        steps_ahead=choose_steps_ahead(device, config.precision, ranks),
        chances=chances,
    )
    start_session(session, setup)
    return session


def choose_steps_ahead(device: torch.device, precision: str, ranks: Ranks | None) -> int:
    """Return how many steps may be begun before a loss is read.

    Ranks wait for each other at each step, and a loss scaler (fp16) for the GPU.
    """
    is_alone = ranks is None and precision != "fp16"
    return STEPS_AHEAD if device.type == "cuda" and is_alone else 1


def goes_by_row(device: torch.device, chances: torch.Tensor | None) -> bool:
    """Return whether only the rows of symbols that a window needs have gradients.

    They are few where the softmax is sampled. A GPU would wait for the host to learn which.
    """
    return chances is not None and device.type == "cpu"


def symbol_chances(setup: Setup, device: torch.device) -> torch.Tensor | None:
    """Return the chances of a sampled softmax, (V,); None where all symbols take part."""
    vocab_size, samples = setup.model.vocab_size, setup.config.softmax_samples or 0
    if not 0 < samples < vocab_size:
        return None
    counts = count_symbols(setup.dataset.train, vocab_size)
    return torch.from_numpy(chances_of(counts, samples)).to(device)


def start_session(session: Session, setup: Setup) -> None:
    """Put `session` at step 0: fresh weights, zero moments, the first window."""
    session.model.reset(setup.config.seed)
    weights = session.model.to_weights()
    weights["output.bias"] = unigram_bias(
        count_symbols(setup.dataset.train, len(weights["output.bias"]))
    )
    if setup.initial is not None:
        adopt_weights(weights, setup.initial, setup.dataset.tokenizer)
    session.model.load_weights(weights)
    session.optimizer = make_optimizer(session.model, setup.config, session.shards)
    session.batches = make_batches(setup)
    session.generator.manual_seed(setup.config.seed + 1)
    session.model.generator = session.generator
    session.state, session.best = None, Best()
    session.step = session.tokens = session.loss_count = 0
    session.evaluated_step = session.sampled_step = 0
    session.loss_sum = 0.0


def make_batches(setup: Setup) -> Batches:
    """Return the windows of the training part, from the first on."""
    config, ids = setup.config, setup.dataset.train
    batch_size, seq_length = value(config.batch_size), value(config.seq_length)
    if setup.bos_id is None:
        return StreamBatches(ids, batch_size, seq_length, config.seed, RESET_SHARE)
    return DocumentBatches(ids, setup.bos_id, batch_size, seq_length, config.seed)


def adopt_weights(weights: Tensors, initial: StoredModel, tokenizer: Tokenizer) -> None:
    """Copy an earlier model's weights into `weights`; rows of symbols go by the symbol.

    Symbols that only `tokenizer` knows keep their fresh rows.
    """
    new, old = shared_rows(initial.tokenizer, tokenizer)
    for name, fresh in weights.items():
        before = initial.weights[name]
        if name in ("embedding.weight", "output.weight", "output.bias"):
            fresh[new] = before[old]
        elif name == "recurrent.weight_ih_l0" and initial.config.embedding_size == 0:
            fresh[:, new] = before[:, old]
        else:
            fresh[...] = before


def shared_rows(old: Tokenizer, new: Tokenizer) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of the symbols that both know: in `new`, and in `old`."""
    places = {symbol: index for index, symbol in enumerate(old.vocabulary)}
    pairs = [(i, places[s]) for i, s in enumerate(new.vocabulary) if s in places]
    both = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]
