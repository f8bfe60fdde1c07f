"""Directories as partitions, their files in order of name as logs.

Begin with ``log``, which makes one log of the files of a directory; ``source`` is all of them, ``tree`` finds
them, ``reader`` reads leases of them, ``mark`` is what a checkpoint remembers of one.
Imports model, core, decode and sources.
"""

from streamagg.sources.directory.source import DirectorySource

__all__ = ["DirectorySource"]
