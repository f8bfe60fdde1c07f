"""HTTP as servers of this program speak it: connections and their limits, tokens, errors, numbers.

Knows neither what is served nor where it goes. Imports model. Begin with ``front``.
"""
