"""What sources, sinks and tools share of Kafka: clients, topics, groups, and what their errors mean.

Imports model, core, errors and events. Begin with ``client``.
"""
