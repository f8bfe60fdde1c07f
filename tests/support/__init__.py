"""What the tests stand on: a real Kafka broker on this machine."""
