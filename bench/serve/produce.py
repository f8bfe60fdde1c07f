"""Sends measurements to a topic when they are due, and ends by itself.

``python -m bench.serve.produce BOOTSTRAP TOPIC MS SECONDS``: they are of the time that it is, as if it had
been ``MS`` when this began; the first value of each is how many milliseconds ago that was. Prints when it
was, in seconds since 1970, and goes on.
"""

import sys
import time
from typing import Final

import numpy as np
from confluent_kafka import Producer

from bench.serve.stores import MEASURES, TAGS, tag

RATE: Final = 10_000
STEP_S: Final = 0.01
POOL: Final = 100_000


def main(bootstrap: str, topic: str, begin_ms: int, seconds: float) -> int:
    """Ends by itself."""
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "queue.buffering.max.messages": 500_000}
    )
    random = np.random.default_rng(3)
    ends = 1 - np.cumprod(np.full(TAGS - 1, 0.99))
    tags = [tag(number) for number in np.searchsorted(ends, random.random(POOL)).tolist()]
    values = [
        ",".join(f"{value:.2f}" for value in row)
        for row in random.uniform(90, 110, (1_000, len(MEASURES) - 1)).tolist()
    ]
    began, sent = time.time(), 0
    print(began, flush=True)
    while (passed := time.time() - began) < seconds:
        due = int(passed * RATE)
        for number in range(sent, due):
            at_us = number * 1_000_000 // RATE
            time_ns = begin_ms * 1_000_000 + at_us * 1_000
            numbers = f"{at_us / 1_000:.1f},{values[number % 1_000]}"
            text = f'{{"time":{time_ns},"tag":"{tags[number % POOL]}","values":[{numbers}]}}'
            producer.produce(topic, text)
        sent = due
        producer.poll(0)
        time.sleep(STEP_S)
    producer.flush(10)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))
