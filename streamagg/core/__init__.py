"""Event time and counting: when a record is late, which window it is in, how many users that has.

Imports model. Pure: neither reads, writes, waits nor logs; what time it is comes in as an argument. Begin
with ``sequencer``, then ``partition_clock``.
"""
