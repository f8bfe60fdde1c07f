package io.streamagg.core;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * JSON text: where strings, numbers and whole values end.
 *
 * <p>Every method gets a position in a document whose last byte is a closing brace, and returns the position behind
 * what it read, or {@link #WRONG} where that is no JSON. Nothing behind the document is read: no token but a string
 * can go on over that brace, and who has read a closing brace asks whether it was the last byte.
 */
final class Json {
    static final int WRONG = -1;
    /** Nested objects and arrays, the document itself included. */
    static final int DEEPEST = 512;

    private static final byte[] TRUE = {'t', 'r', 'u', 'e'};
    private static final byte[] FALSE = {'f', 'a', 'l', 's', 'e'};
    private static final byte[] NULL = {'n', 'u', 'l', 'l'};

    private static final VarHandle WORDS =
            MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final long EACH = 0x0101010101010101L;

    private Json() {}

    static boolean isDigit(byte b) {
        return b >= '0' && b <= '9';
    }

    static boolean isBlank(byte b) {
        return b == ' ' || b == '\n' || b == '\r' || b == '\t';
    }

    static int skipBlanks(byte[] text, int p) {
        while (isBlank(text[p])) {
            p++;
        }
        return p;
    }

    /** From behind an opening quote to the closing one. */
    static int stringEnd(byte[] text, int p, int end) {
        while (true) {
            p = plainEnd(text, p, end);
            if (p == end) {
                return WRONG;
            }
            byte b = text[p];
            if (b == '"') {
                return p;
            }
            p = b == '\\' ? skipEscape(text, p) : WRONG;
            if (p == WRONG) {
                return WRONG;
            }
        }
    }

    /** The first byte that does not stand for itself in a string: a quote, a backslash or a control byte; or the end. */
    private static int plainEnd(byte[] text, int p, int end) {
        for (; p + Long.BYTES <= end; p += Long.BYTES) {
            long found = special((long) WORDS.get(text, p));
            if (found != 0) {
                return p + (Long.numberOfTrailingZeros(found) >>> 3);
            }
        }
        // Bytes of other alphabets are negative.
        while (p < end && text[p] != '"' && text[p] != '\\' && (text[p] < 0 || text[p] >= ' ')) {
            p++;
        }
        return p;
    }

    /** The highest bit of each such byte, of which the lowest is right: borrows go upwards. */
    private static long special(long word) {
        long quote = word ^ EACH * '"';
        long backslash = word ^ EACH * '\\';
        long found = quote - EACH & ~quote | backslash - EACH & ~backslash | word - EACH * ' ' & ~word;
        return found & EACH << 7;
    }

    /** From a backslash to behind its escape; half a surrogate pair is refused. */
    private static int skipEscape(byte[] text, int p) {
        switch (text[p + 1]) {
            case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
                return p + 2;
            case 'u':
                break;
            default:
                return WRONG;
        }
        int unit = hex4(text, p + 2);
        if (unit < 0 || isLow(unit)) {
            return WRONG;
        }
        if (!isHigh(unit)) {
            return p + 6;
        }
        boolean pair = text[p + 6] == '\\' && text[p + 7] == 'u' && isLow(hex4(text, p + 8));
        return pair ? p + 12 : WRONG;
    }

    private static boolean isHigh(int unit) {
        return unit >= 0xd800 && unit <= 0xdbff;
    }

    private static boolean isLow(int unit) {
        return unit >= 0xdc00 && unit <= 0xdfff;
    }

    /** The value of four hexadecimal digits, or -1. */
    private static int hex4(byte[] text, int p) {
        int value = 0;
        for (int i = 0; i < 4; i++) {
            int digit = Character.digit(text[p + i], 16);
            if (digit < 0) {
                return -1;
            }
            value = value << 4 | digit;
        }
        return value;
    }

    /**
     * Writes what stands between the quotes of a string that stringEnd has accepted, without its escapes, which never
     * are longer than with them. Returns the size.
     */
    static int unescape(byte[] text, int p, int last, byte[] out) {
        int size = 0;
        while (p < last) {
            if (text[p] != '\\') {
                out[size++] = text[p++];
                continue;
            }
            size = putUtf8(out, size, escapedPoint(text, p));
            p = skipEscape(text, p);
        }
        return size;
    }

    private static int escapedPoint(byte[] text, int p) {
        return switch (text[p + 1]) {
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> {
                int unit = hex4(text, p + 2);
                yield isHigh(unit) ? Character.toCodePoint((char) unit, (char) hex4(text, p + 8)) : unit;
            }
            default -> text[p + 1];
        };
    }

    private static int putUtf8(byte[] out, int at, int point) {
        if (point < 0x80) {
            out[at++] = (byte) point;
            return at;
        }
        int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
        out[at++] = (byte) (0xff80 >> more | point >> 6 * more);
        while (more-- > 0) {
            out[at++] = (byte) (0x80 | point >> 6 * more & 0x3f);
        }
        return at;
    }

    private static int skipDigits(byte[] text, int p) {
        while (isDigit(text[p])) {
            p++;
        }
        return p;
    }

    /** An integer: a minus or not, then 0 or digits that do not begin with one. */
    static int skipInteger(byte[] text, int p) {
        if (text[p] == '-') {
            p++;
        }
        if (text[p] == '0') {
            return p + 1;
        }
        return isDigit(text[p]) ? skipDigits(text, p) : WRONG;
    }

    static int skipNumber(byte[] text, int p) {
        p = skipInteger(text, p);
        if (p == WRONG) {
            return WRONG;
        }
        if (text[p] == '.') {
            if (!isDigit(text[p + 1])) {
                return WRONG;
            }
            p = skipDigits(text, p + 1);
        }
        if (text[p] == 'e' || text[p] == 'E') {
            p += text[p + 1] == '+' || text[p + 1] == '-' ? 2 : 1;
            if (!isDigit(text[p])) {
                return WRONG;
            }
            p = skipDigits(text, p);
        }
        return p;
    }

    /** A string, number or literal. */
    static int skipScalar(byte[] text, int p, int end) {
        switch (text[p]) {
            case '"':
                int last = stringEnd(text, p + 1, end);
                return last == WRONG ? WRONG : last + 1;
            case 't':
                return skipWord(text, p, end, TRUE);
            case 'f':
                return skipWord(text, p, end, FALSE);
            case 'n':
                return skipWord(text, p, end, NULL);
            default:
                return skipNumber(text, p);
        }
    }

    private static int skipWord(byte[] text, int p, int end, byte[] word) {
        if (end - p < word.length) {
            return WRONG;
        }
        for (int i = 1; i < word.length; i++) {
            if (text[p + i] != word[i]) {
                return WRONG;
            }
        }
        return p + word.length;
    }

    /** From a colon that has to be there, perhaps behind blanks, to the first byte of the value. */
    static int skipColon(byte[] text, int p) {
        p = skipBlanks(text, p);
        return text[p] == ':' ? skipBlanks(text, p + 1) : WRONG;
    }

    private static int skipKey(byte[] text, int p, int end) {
        if (text[p] != '"') {
            return WRONG;
        }
        int last = stringEnd(text, p + 1, end);
        return last == WRONG ? WRONG : skipColon(text, last + 1);
    }

    /** From the first byte of any value, which lies in so many objects and arrays, to behind it. */
    static int skipValue(byte[] text, int p, int end, int outside) {
        byte b = text[p];
        if (b != '{' && b != '[') {
            return skipScalar(text, p, end);
        }
        if (outside >= DEEPEST) {
            return WRONG;
        }
        byte closing = b == '{' ? (byte) '}' : (byte) ']';
        p = skipBlanks(text, p + 1);
        if (text[p] == closing) {
            return p + 1;
        }
        while (true) {
            if (closing == '}') {
                p = skipKey(text, p, end);
            }
            if (p != WRONG) {
                p = skipValue(text, p, end, outside + 1);
            }
            if (p == WRONG || p == end) {
                return WRONG;
            }
            p = skipBlanks(text, p);
            if (text[p] == closing) {
                return p + 1;
            }
            if (text[p] != ',') {
                return WRONG;
            }
            p = skipBlanks(text, p + 1);
        }
    }
}
