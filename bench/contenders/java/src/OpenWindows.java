import java.util.HashSet;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;

/** The users of one partition by minute of event time, as long as that minute may still get records. */
final class OpenWindows {
    /** Users by start of their window; no more of them will come for windows before {@code before}. */
    record Closed(long before, SortedMap<Long, Set<String>> users) {}

    private final TreeMap<Long, Set<String>> users = new TreeMap<>();
    private final EventClock clock = new EventClock();

    void add(Event event) {
        long start = EventClock.windowOf(event.second());
        if (clock.isOpen(start)) {
            users.computeIfAbsent(start, absent -> new HashSet<>()).add(event.user());
            clock.see(event.second());
        }
    }

    boolean isDue() {
        return clock.isDue();
    }

    Closed closeDue() {
        return close(clock.due());
    }

    Closed closeAll() {
        return close(Long.MAX_VALUE);
    }

    private Closed close(long before) {
        clock.close(before);
        SortedMap<Long, Set<String>> over = users.headMap(before);
        Closed closed = new Closed(before, new TreeMap<>(over));
        over.clear();
        return closed;
    }
}
