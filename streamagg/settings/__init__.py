"""What a user may set: the table, and how flags, variables and the TOML file become values.

Imports model and, for what the Kafka client refuses, kafka. Begin with ``table``; ``resolve`` makes the
values of ``model.settings`` of it.
"""
