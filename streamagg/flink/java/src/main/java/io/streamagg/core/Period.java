package io.streamagg.core;

/** {@code [start, end)} of a calendar, milliseconds. */
public record Period(String calendar, long startMs, long endMs) {}
