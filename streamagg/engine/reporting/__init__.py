"""What a run says of itself: metrics, events, warnings, liveness, final counters.

Reads the session and the workers, and changes neither. Imports core, decode, sinks, kafka, telemetry and
model. Begin with ``metering``.
"""
