import java.util.OptionalLong;

/** A run is over when the merging task says so. */
final class Progress implements Completion {
    private long rows;
    private boolean complete;

    synchronized void published(long more, boolean all) {
        rows += more;
        complete = all;
    }

    @Override
    public synchronized OptionalLong rows() {
        return complete ? OptionalLong.of(rows) : OptionalLong.empty();
    }
}
