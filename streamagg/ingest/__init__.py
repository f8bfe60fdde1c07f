"""``streamagg ingest``: records come by HTTP, and are acknowledged when they are in a topic or on a disk.

Worker processes share one port; each checks bodies, gathers those that come while others are being written,
and writes them together. Imports http, kafka, model and telemetry. Begin with ``app``.
"""
