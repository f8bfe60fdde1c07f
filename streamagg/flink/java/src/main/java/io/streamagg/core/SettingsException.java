package io.streamagg.core;

/** A setting cannot be what it is; the message is for a person. */
public final class SettingsException extends RuntimeException {
    private static final long serialVersionUID = 1;

    public SettingsException(String message) {
        super(message);
    }
}
