"""What sources, sinks and tools share of Kafka: clients, topics, groups, and what their errors mean.

Imports model. Begin with ``client``.
"""
