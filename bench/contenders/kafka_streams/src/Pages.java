import java.util.HashMap;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/** The figures of every page, by start of their window. */
final class Pages {
    private final TreeMap<Long, Map<String, Figures>> windows = new TreeMap<>();

    Figures of(long start, String page) {
        return windows.computeIfAbsent(start, absent -> new HashMap<>())
                .computeIfAbsent(page, absent -> new Figures());
    }

    /** Those of all windows that start before this one, which are forgotten. */
    SortedMap<Long, Map<String, Figures>> takeBefore(long start) {
        SortedMap<Long, Map<String, Figures>> over = windows.headMap(start);
        SortedMap<Long, Map<String, Figures>> taken = new TreeMap<>(over);
        over.clear();
        return taken;
    }
}
