"""Counts the unique users of every window of event time in a Kafka topic of JSON records."""

__version__ = "0.1.0"
