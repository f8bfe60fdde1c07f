"""One life from a checkpoint: leases out, blocks in, windows published.

``session`` conducts: ``leases`` say who reads what, ``silence`` which partitions are idle, and
``publication_schedule`` what goes out when; ``view`` is what others may see. Knows neither processes nor
Kafka: ports and a publisher come in. Imports core, sources, sinks and model. Begin with ``session``.
"""
