"""Counts the unique users of every window of event time in a Kafka topic of JSON records."""

import os

__version__ = "0.1.0"

# Nothing here multiplies matrices, but each process that loads numpy would start threads for it, which spin
# for a while: 5 % of the CPU of a run over a million records.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
