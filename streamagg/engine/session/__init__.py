"""One life from a checkpoint: leases out, blocks in, windows published.

Knows neither processes nor Kafka: ports and a publisher come in. Imports core, sources, sinks and model.
Begin with ``session``.
"""
