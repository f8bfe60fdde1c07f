"""What the core in Java has to come to, told by this program: JSON lines that its tests read.

``python -m tests.flink.export DIRECTORY`` writes them; all of it is drawn from seeds.
"""
