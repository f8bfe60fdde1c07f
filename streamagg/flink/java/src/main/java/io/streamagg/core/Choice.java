package io.streamagg.core;

import java.util.Locale;

/** A setting that is one of several words. */
final class Choice {
    private Choice() {}

    /** The constant of this name, which is written in small letters and with dashes. */
    static <E extends Enum<E>> E of(Class<E> type, String setting, String word) {
        try {
            return Enum.valueOf(type, word.toUpperCase(Locale.ROOT).replace('-', '_'));
        } catch (IllegalArgumentException error) {
            throw new SettingsException("The setting " + setting + " cannot be " + word + ".");
        }
    }
}
