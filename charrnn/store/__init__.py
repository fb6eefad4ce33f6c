"""Files written whole or not at all, locks, logs and spools: the only writer of the package."""

from charrnn.store.files import (
    clean_abandoned,
    clean_temporaries,
    is_temporary,
    make_directory,
    read_file,
    remove_file,
    write_file,
    write_files,
)
from charrnn.store.journal import Journal, read_journal
from charrnn.store.lock import LOCK_NAME, RunLock
from charrnn.store.spool import ArraySpool, cache_directory, prune_cache

__all__ = [
    "LOCK_NAME",
    "ArraySpool",
    "Journal",
    "RunLock",
    "cache_directory",
    "clean_abandoned",
    "clean_temporaries",
    "is_temporary",
    "make_directory",
    "prune_cache",
    "read_file",
    "read_journal",
    "remove_file",
    "write_file",
    "write_files",
]
