"""Files written whole or not at all, locks, logs and spools: the only writer of the package."""

from charrnn.store.files import (
    clean_temporaries,
    make_directory,
    read_file,
    remove_file,
    write_file,
)
from charrnn.store.journal import Journal, read_journal
from charrnn.store.lock import RunLock
from charrnn.store.spool import ArraySpool, cache_directory, map_array, prune_cache

__all__ = [
    "ArraySpool",
    "Journal",
    "RunLock",
    "cache_directory",
    "clean_temporaries",
    "make_directory",
    "map_array",
    "prune_cache",
    "read_file",
    "read_journal",
    "remove_file",
    "write_file",
]
