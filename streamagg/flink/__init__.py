"""The same job on Apache Flink: what it cannot keep, its jar, and how it is started.

The job itself is the Maven project in ``java``: ``io.streamagg.core`` is what records and windows mean, and
``io.streamagg.flink`` what Flink runs. Imports sinks, sources, kafka, core, model. Begin with ``launch``.
"""
