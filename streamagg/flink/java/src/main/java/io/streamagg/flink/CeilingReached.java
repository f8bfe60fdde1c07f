package io.streamagg.flink;

/** A window has more users or groups than it may have. */
final class CeilingReached extends RuntimeException {
    private static final long serialVersionUID = 1;

    CeilingReached(String message) {
        super(message);
    }
}
