package io.streamagg.core;

import java.util.Locale;

/** Why a record is rejected (docs/decoding.md); FUTURE is found by the clock, all others by the decoder. */
public enum Rejection {
    BAD_TIME, BAD_USER, BAD_GROUP, MISSING_FIELD, BAD_JSON, TOMBSTONE, TOO_LARGE, FUTURE;

    /** As in headers of dead letters and labels of metrics. */
    public String reason() {
        return name().toLowerCase(Locale.ROOT);
    }
}
