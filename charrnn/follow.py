"""A run as the ranks other than 0 see it: they wait for its commands and carry them out."""

import contextlib
from dataclasses import asdict, replace
from typing import Any

from charrnn import strictjson
from charrnn.checkpoint import gather_parts, restore, snapshot
from charrnn.config import ModelConfig, TrainConfig
from charrnn.dataset import load_dataset
from charrnn.errors import CorpusError, PeerError
from charrnn.machine import own_device, set_up_torch
from charrnn.modeldir import Checkpoint
from charrnn.prepare import Prepared
from charrnn.ranks import Command, Ranks, check_streams, join_ranks
from charrnn.session import Setup, build_session, value
from charrnn.tensors import decode_tensors, encode_tensors
from charrnn.tokenizer import Tokenizer
from charrnn.trainer import NotFiniteError, Session, update

NAME = "the training state that rank 0 sent"


def lead(prepared: Prepared, setup: Setup, session: Session, record: dict[str, Any]) -> None:
    """Let the other ranks build what rank 0 has: they are told the options, texts and symbols."""
    ranks = session.ranks
    if ranks is None:
        return
    check_streams(ranks, value(setup.config.batch_size))
    header = {
        "options": asdict(setup.config),
        "model": asdict(setup.model),
        **{name: record[name] for name in ("texts", "valid", "encoding", "corpus")},
    }
    ranks.send(strictjson.dumps(header, indent=None))
    ranks.send(setup.dataset.tokenizer.to_json())


def share(session: Session, found: Checkpoint | None) -> None:
    """Put all ranks where rank 0 is: at step 0, or at the checkpoint `found` that it has restored.

    At the beginning, after a resume, and after a divergence.
    """
    if session.ranks is None:
        return
    if found is None:
        tensors, metadata = snapshot(session, None, session.generator.get_state(), {})
    else:
        tensors, metadata = found.tensors, found.metadata
    session.ranks.command(Command.SHARE)
    session.ranks.send(encode_tensors(tensors, metadata))


def dismiss(session: Session) -> None:
    """Tell the other ranks that the run has ended, where they are still there."""
    if session.ranks is not None:
        with contextlib.suppress(PeerError):
            session.ranks.command(Command.END)
            session.ranks.leave()


def follow() -> None:
    """Train with the other ranks until rank 0 says that the run has ended."""
    ranks = join_ranks()
    assert ranks is not None
    session = build_follower(ranks)
    while True:
        command, rate = ranks.command()
        if command is Command.STEP:
            window = session.batches.next_window()
            try:
                update(session, window, rate)
            except NotFiniteError:
                continue  # rank 0 knows it too, and says what follows
        elif command is Command.GATHER:
            gather_parts(session)
        elif command is Command.SHARE:
            restore(session, *decode_tensors(ranks.send(), NAME), NAME)
        else:
            ranks.leave()
            return


def build_follower(ranks: Ranks) -> Session:
    """Return a session like rank 0's, on this rank's device.

    Raises CorpusError where the text is not the one that rank 0 reads.
    """
    header = strictjson.loads(ranks.send(), "what rank 0 sent")
    tokenizer = Tokenizer.from_json(ranks.send(), "what rank 0 sent")
    config = TrainConfig(**header["options"])
    config = replace(config, device=own_device(config.device))
    dataset = load_dataset(
        header["texts"],
        config,
        valid=header["valid"] or None,
        encoding=header["encoding"],
        tokenizer=tokenizer,
    )
    if [asdict(record)["sha256"] for record in dataset.records] != [
        record["sha256"] for record in header["corpus"]
    ]:
        raise CorpusError(f"rank {ranks.rank} reads another text than rank 0")
    set_up_torch(config)
    setup = Setup(ModelConfig(**header["model"]), config, dataset, "", (), None)
    return build_session(setup, ranks)
