import java.util.OptionalLong;

/** A run is over when the merging task says so. */
final class Progress implements Completion {
    private long windows;
    private boolean complete;

    synchronized void published(int more, boolean all) {
        windows += more;
        complete = all;
    }

    @Override
    public synchronized OptionalLong rows() {
        return complete ? OptionalLong.of(windows) : OptionalLong.empty();
    }
}
