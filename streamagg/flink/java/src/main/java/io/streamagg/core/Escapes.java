package io.streamagg.core;

import java.util.function.IntConsumer;

/** What stands for a byte in a JSON string, as orjson writes it. */
final class Escapes {
    private static final String HEXADECIMAL = "0123456789abcdef";
    private static final String LETTERS = "\"\\\b\t\n\f\r";
    private static final String ESCAPES = "\"\\btnfr";

    private Escapes() {}

    static void put(byte letter, IntConsumer out) {
        if ((letter < 0 || letter >= ' ') && letter != '"' && letter != '\\') {
            out.accept(letter);
            return;
        }
        out.accept('\\');
        int known = LETTERS.indexOf(letter);
        if (known >= 0) {
            out.accept(ESCAPES.charAt(known));
            return;
        }
        out.accept('u');
        out.accept('0');
        out.accept('0');
        out.accept(HEXADECIMAL.charAt(letter >> 4));
        out.accept(HEXADECIMAL.charAt(letter & 15));
    }
}
