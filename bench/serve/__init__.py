"""What questions to ``serve`` take, on histories of the real size, beside what one would take instead.

``python -m bench.serve`` measures all parts, ``--part NAME`` one of them. Begin with ``__main__``; ``stores``
says what is asked about.
"""
