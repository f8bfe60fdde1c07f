import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Unites the users that partitions saw in the same window, and counts it when all of them have closed it. */
final class Union {
    private final long[] closedBefore;
    private final TreeMap<Long, Set<String>> users = new TreeMap<>();

    Union(int partitions) {
        closedBefore = new long[partitions];
        Arrays.fill(closedBefore, Long.MIN_VALUE);
    }

    void add(long start, Collection<String> more) {
        users.computeIfAbsent(start, absent -> new HashSet<>()).addAll(more);
    }

    /** Unique users of the windows that are complete now that this partition has closed so many. */
    Map<Long, Integer> close(int partition, long before) {
        closedBefore[partition] = before;
        Map<Long, Set<String>> complete = users.headMap(Arrays.stream(closedBefore).min().orElseThrow());
        Map<Long, Integer> counts = new TreeMap<>();
        complete.forEach((start, seen) -> counts.put(start, seen.size()));
        complete.clear();
        return counts;
    }

    /** Every partition has ended. */
    boolean isComplete() {
        return Arrays.stream(closedBefore).allMatch(before -> before == Long.MAX_VALUE);
    }
}
