package io.streamagg.core;

import java.util.Arrays;
import java.util.List;

/** Checks the structure of a whole document, and finds the values at some paths. */
final class Finder {
    static final int ABSENT = -1;

    private final PathTree root;
    private final int[] begins;
    private final int[] ends;
    private byte[] key = new byte[64];
    private byte[] text;
    private int end;

    /** Paths of keys, none of which is the beginning of another. */
    Finder(List<List<String>> paths) {
        root = PathTree.of(paths);
        begins = new int[paths.size()];
        ends = new int[paths.size()];
    }

    /** Reads the document {@code [from, to)}; false if it is not one JSON object, or is nested too deeply. */
    boolean find(byte[] document, int from, int to) {
        text = document;
        end = to;
        while (end > from && Json.isBlank(text[end - 1])) {
            end--;
        }
        if (end == from || text[end - 1] != '}') {
            return false;
        }
        Arrays.fill(begins, ABSENT);
        int p = Json.skipBlanks(text, from);
        return text[p] == '{' && readObject(p, root, 0) == end;
    }

    /** Where the value of a field begins, or ABSENT. */
    int begin(int field) {
        return begins[field];
    }

    /** Just behind it. */
    int end(int field) {
        return ends[field];
    }

    /** Recursion goes as deep as the longest path, not as the document. */
    private int readObject(int p, PathTree tree, int level) {
        if (level == Json.DEEPEST) {
            return Json.WRONG;
        }
        p = Json.skipBlanks(text, p + 1);
        if (text[p] == '}') {
            return p + 1;
        }
        while (true) {
            if (text[p] != '"') {
                return Json.WRONG;
            }
            int last = Json.stringEnd(text, p + 1, end);
            if (last == Json.WRONG) {
                return Json.WRONG;
            }
            PathTree on = atKey(tree, p + 1, last);
            p = Json.skipColon(text, last + 1);
            p = p == Json.WRONG ? p : readValue(p, on, level);
            if (p == Json.WRONG || p == end) {
                return Json.WRONG;
            }
            p = Json.skipBlanks(text, p);
            if (text[p] == '}') {
                return p + 1;
            }
            if (text[p] != ',') {
                return Json.WRONG;
            }
            p = Json.skipBlanks(text, p + 1);
        }
    }

    private int readArray(int p, PathTree tree, int level) {
        if (level == Json.DEEPEST) {
            return Json.WRONG;
        }
        p = Json.skipBlanks(text, p + 1);
        if (text[p] == ']') {
            return p + 1;
        }
        for (long element = 0; ; element++) {
            p = readValue(p, tree.at(element), level);
            if (p == Json.WRONG || p == end) {
                return Json.WRONG;
            }
            p = Json.skipBlanks(text, p);
            if (text[p] == ']') {
                return p + 1;
            }
            if (text[p] != ',') {
                return Json.WRONG;
            }
            p = Json.skipBlanks(text, p + 1);
        }
    }

    /** The last one of equal keys wins, whatever the first held. */
    private int readValue(int p, PathTree on, int level) {
        if (on == PathTree.NOWHERE) {
            return Json.skipValue(text, p, end, level + 1);
        }
        for (int field : on.fieldsBelow()) {
            begins[field] = ABSENT;
        }
        if (on.isField()) {
            begins[on.field()] = p;
            return ends[on.field()] = Json.skipValue(text, p, end, level + 1);
        }
        if (text[p] == '{') {
            return readObject(p, on, level + 1);
        }
        return text[p] == '[' && on.isIndexed()
                ? readArray(p, on, level + 1)
                : Json.skipValue(text, p, end, level + 1);
    }

    private PathTree atKey(PathTree tree, int from, int to) {
        PathTree on = tree.at(text, from, to);
        if (on != PathTree.NOWHERE) {
            // No key of a path has a backslash in it.
            return on;
        }
        for (int p = from; p < to; p++) {
            if (text[p] == '\\') {
                key = key.length < to - from ? new byte[to - from] : key;
                return tree.at(key, 0, Json.unescape(text, from, to, key));
            }
        }
        return PathTree.NOWHERE;
    }
}
