import java.util.OptionalLong;

/** Knows when a run is over. */
@FunctionalInterface
interface Completion {
    /** Rows of the output once all of them are sent; empty before. */
    OptionalLong rows() throws Exception;
}
