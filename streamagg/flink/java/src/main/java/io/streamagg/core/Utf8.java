package io.streamagg.core;

/** Whether bytes are UTF-8: nothing overlong, no surrogates, nothing above U+10FFFF. */
final class Utf8 {
    private Utf8() {}

    static boolean isValid(byte[] text, int from, int to) {
        int p = from;
        while (p < to) {
            if (text[p] >= 0) {
                p++;
                continue;
            }
            int size = size(text[p] & 0xff);
            if (size == 0 || p + size > to || !isPoint(text, p, size)) {
                return false;
            }
            p += size;
        }
        return true;
    }

    /** Bytes of the character that begins so, 0 if none does. */
    private static int size(int lead) {
        if (lead < 0xc0 || lead > 0xf4) {
            return 0;
        }
        return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    }

    private static boolean isPoint(byte[] text, int p, int size) {
        int point = text[p] & 0xff >> size + 1;
        for (int i = 1; i < size; i++) {
            if ((text[p + i] & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | text[p + i] & 0x3f;
        }
        int least = size == 2 ? 0x80 : size == 3 ? 0x800 : 0x10000;
        return point >= least && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    }
}
