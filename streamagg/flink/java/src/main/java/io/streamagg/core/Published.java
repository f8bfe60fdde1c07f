package io.streamagg.core;

/** Key and value of a record, JSON as UTF-8. */
public record Published(byte[] key, byte[] value) {}
