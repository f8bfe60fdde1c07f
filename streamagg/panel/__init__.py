"""What a verb shows of itself on a terminal while it works, redrawn in place.

``model`` is what there is to see, ``collector`` makes it from snapshots and log lines, ``drawing`` turns it
into lines, and ``screen`` keeps these at the foot of a terminal. Imports model, settings and telemetry.
Begin with ``panel``.
"""
