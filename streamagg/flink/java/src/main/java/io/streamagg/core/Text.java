package io.streamagg.core;

/** A value of a document: the text of a string without its escapes, or any other as it stands there. */
final class Text {
    private byte[] plain = new byte[512];

    byte[] bytes;
    int from;
    int to;
    /** It is a string. */
    boolean quoted;

    int length() {
        return to - from;
    }

    /** Looks at the value {@code [first, last)}, which is JSON; false if it is a string and not UTF-8. */
    boolean set(byte[] document, int first, int last) {
        bytes = document;
        from = first;
        to = last;
        quoted = document[first] == '"';
        if (!quoted) {
            return true;
        }
        from++;
        to--;
        boolean escaped = false;
        byte high = 0;
        for (int p = from; p < to; p++) {
            escaped |= document[p] == '\\';
            high |= document[p];
        }
        if (high < 0 && !Utf8.isValid(document, from, to)) {
            return false;
        }
        if (escaped) {
            unescape();
        }
        return true;
    }

    private void unescape() {
        // One byte more: what reads a number looks at the byte behind it.
        plain = plain.length <= length() ? new byte[length() + 1] : plain;
        to = Json.unescape(bytes, from, to, plain);
        from = 0;
        bytes = plain;
        plain[to] = '"';
    }

    /** It is null. */
    boolean isNull() {
        return !quoted && bytes[from] == 'n';
    }

    /** It is a number of any kind. */
    boolean isNumber() {
        return !quoted && (bytes[from] == '-' || Json.isDigit(bytes[from]));
    }

    /** It is a number without fraction and exponent. */
    boolean isInteger() {
        return isNumber() && Json.skipInteger(bytes, from) == to;
    }

    /** It is the integer {@code -0}. */
    boolean isNegativeZero() {
        return !quoted && length() == 2 && bytes[from] == '-' && bytes[from + 1] == '0';
    }
}
