"""A wall clock that can be set for some processes and not for the machine."""
