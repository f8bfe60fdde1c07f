package io.streamagg.core;

import java.util.ArrayList;
import java.util.List;

/** Where a field is in a document: keys joined by dots, and a backslash makes a dot part of a key. */
final class FieldPath {
    private FieldPath() {}

    /** The keys of a path; throws SettingsException if one is empty, or a backslash stands before another letter. */
    static List<String> keysOf(String path) {
        List<String> keys = new ArrayList<>();
        StringBuilder key = new StringBuilder();
        for (int i = 0; i < path.length(); i++) {
            char letter = path.charAt(i);
            if (letter == '.') {
                keys.add(key.toString());
                key.setLength(0);
                continue;
            }
            if (letter == '\\' && (++i == path.length() || ".\\".indexOf(letter = path.charAt(i)) < 0)) {
                throw malformed(path);
            }
            key.append(letter);
        }
        keys.add(key.toString());
        if (keys.contains("")) {
            throw malformed(path);
        }
        return keys;
    }

    private static SettingsException malformed(String path) {
        return new SettingsException("The path " + path + " is malformed.");
    }
}
