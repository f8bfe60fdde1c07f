package io.streamagg.core;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Paths by their keys: what may be below an object or array of a document. */
final class PathTree {
    /** No way to a field. */
    static final PathTree NOWHERE = null;

    private static final long NO_INDEX = -1;

    private final byte[] key;
    private final long index;
    private final List<PathTree> building = new ArrayList<>();
    private PathTree[] children = {};
    private boolean indexed;

    /** Which field this is, where a path ends; -1 on the way. */
    private int field = -1;
    private int[] fieldsBelow = {};

    private PathTree(String key) {
        this.key = key.getBytes(StandardCharsets.UTF_8);
        this.index = key.matches("0|[1-9][0-9]{0,17}") ? Long.parseLong(key) : NO_INDEX;
    }

    /** Of these paths, none of which is the beginning of another; fields are numbered in their order. */
    static PathTree of(List<List<String>> paths) {
        PathTree root = new PathTree("");
        for (int field = 0; field < paths.size(); field++) {
            PathTree at = root;
            for (String key : paths.get(field)) {
                at = at.childToBe(key);
                at.fieldsBelow = Arrays.copyOf(at.fieldsBelow, at.fieldsBelow.length + 1);
                at.fieldsBelow[at.fieldsBelow.length - 1] = field;
            }
            at.field = field;
        }
        root.finish();
        return root;
    }

    private PathTree childToBe(String name) {
        byte[] wanted = name.getBytes(StandardCharsets.UTF_8);
        for (PathTree child : building) {
            if (Arrays.equals(child.key, wanted)) {
                return child;
            }
        }
        PathTree child = new PathTree(name);
        building.add(child);
        return child;
    }

    private void finish() {
        children = building.toArray(children);
        for (PathTree child : children) {
            child.finish();
            indexed |= child.index != NO_INDEX;
        }
    }

    /** Where a key leads; NOWHERE if not to a field. */
    PathTree at(byte[] text, int from, int to) {
        for (PathTree child : children) {
            if (child.key.length == to - from && Arrays.equals(child.key, 0, to - from, text, from, to)) {
                return child;
            }
        }
        return NOWHERE;
    }

    /** Where an element of an array leads; NOWHERE if not to a field. */
    PathTree at(long element) {
        for (PathTree child : children) {
            if (child.index == element) {
                return child;
            }
        }
        return NOWHERE;
    }

    boolean isField() {
        return field >= 0;
    }

    int field() {
        return field;
    }

    /** Elements of an array may lead to a field. */
    boolean isIndexed() {
        return indexed;
    }

    int[] fieldsBelow() {
        return fieldsBelow;
    }
}
