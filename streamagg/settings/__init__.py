"""What a user may set: the table, and how flags, variables and the TOML file become values.

Imports model, for the clocks of time zones core, and for what the Kafka client refuses, kafka, and for
tokens http. Begin with
``table``; ``resolve`` makes the values of ``model.settings`` of it.
"""
