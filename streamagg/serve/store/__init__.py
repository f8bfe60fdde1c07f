"""What is kept: rows of published records, and sketches, in one file of DuckDB that can be rebuilt.

One thread writes (``Store``); any number read, each question in one transaction (``Reading``). A transaction
holds the records and the positions up to which they have been read, so that a kill leaves neither a gap nor a
double. Imports serve's ``records`` and ``theta``. Begin with ``store``.
"""
