package io.streamagg.flink;

import io.streamagg.core.JobSettings;
import io.streamagg.core.SettingsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.flink.api.common.JobExecutionResult;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.FileUtils;

/**
 * The job on a cluster inside this process, to try it out and for tests.
 *
 * <p>Arguments: the settings as of {@link Job}, the parallelism, and settings of Flink as {@code name=value}. At SIGTERM
 * it stops with a savepoint, if there is a place for one ({@code execution.checkpointing.savepoint-dir}); at the end
 * it prints what it has counted as one JSON object.
 */
public final class LocalJob {
    private static final long PATIENCE_S = 60;
    private static final int FAILURE = 1;
    private static final int USAGE = 2;
    private static final int TOO_MANY = 6;
    private static final int NOTHING_COUNTED = 7;
    private static final String CHECKPOINTS = "execution.checkpointing.dir";

    /** Checkpoints that nobody wants to keep. */
    private static Path scratch;

    private LocalJob() {}

    public static void main(String[] args) throws Exception {
        int exitCode;
        try {
            exitCode = run(args);
        } catch (Exception error) {
            Throwable cause = cause(error);
            System.err.println("streamagg: " + text(cause));
            exitCode = exitCode(cause);
        }
        end(exitCode);
    }

    private static void end(int exitCode) {
        if (scratch != null) {
            FileUtils.deleteDirectoryQuietly(scratch.toFile());
        }
        Runtime.getRuntime().halt(exitCode);
    }

    private static int exitCode(Throwable cause) {
        if (cause instanceof SettingsException) {
            return USAGE;
        }
        return cause instanceof CeilingReached ? TOO_MANY : FAILURE;
    }

    private static int run(String[] args) throws Exception {
        Configuration configuration = new Configuration();
        for (int i = 2; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            configuration.setString(pair[0], pair[1]);
        }
        if (!configuration.containsKey(CHECKPOINTS)) {
            scratch = Files.createTempDirectory("streamagg-flink");
            configuration.setString(CHECKPOINTS, scratch.toUri().toString());
        }
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(Integer.parseInt(args[1]), configuration);
        JobSettings settings = Job.settings(args[0]);
        Job.build(environment, settings);
        JobClient job = environment.executeAsync(Job.name(settings));
        System.err.println("The job " + job.getJobID() + " runs.");
        String place = configuration.getString("execution.checkpointing.savepoint-dir", null);
        AtomicBoolean stopping = new AtomicBoolean();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(job, place, stopping)));
        JobExecutionResult result = job.getJobExecutionResult().get();
        if (!stopping.get()) {
            System.out.println(json(result));
            return isNothing(result) ? NOTHING_COUNTED : 0;
        }
        // The hook says where the savepoint is, and ends this process.
        Thread.sleep(TimeUnit.SECONDS.toMillis(PATIENCE_S));
        return FAILURE;
    }

    private static boolean isNothing(JobExecutionResult result) {
        Long read = result.getAccumulatorResult("records_consumed_total");
        Long counted = result.getAccumulatorResult("records_counted_total");
        if (read == null || read == 0 || counted > 0) {
            return false;
        }
        System.err.println("streamagg: Nothing was counted: all " + read + " records were rejected or late.");
        return true;
    }

    private static void stop(JobClient job, String place, AtomicBoolean stopping) {
        stopping.set(true);
        int exitCode = 0;
        try {
            if (place == null) {
                job.cancel().get(PATIENCE_S, TimeUnit.SECONDS);
            } else {
                String path = job.stopWithSavepoint(false, place, SavepointFormatType.CANONICAL)
                        .get(PATIENCE_S, TimeUnit.SECONDS);
                System.out.println("{\"savepoint\":\"" + path + "\"}");
                System.out.flush();
            }
        } catch (Exception error) {
            System.err.println("The job was stopped without a savepoint: " + text(cause(error)));
            exitCode = FAILURE;
        }
        end(exitCode);
    }

    private static String json(JobExecutionResult result) {
        StringBuilder text = new StringBuilder("{");
        Map<String, Object> counted = new TreeMap<>(result.getAllAccumulatorResults());
        counted.forEach((name, value) ->
                text.append(text.length() == 1 ? "" : ",").append('"').append(name).append("\":").append(value));
        return text.append('}').toString();
    }

    /** The innermost cause: those around it say where in Flink it came up. */
    private static Throwable cause(Throwable error) {
        Throwable innermost = error;
        while (innermost.getCause() != null) {
            innermost = innermost.getCause();
        }
        return innermost;
    }

    private static String text(Throwable cause) {
        return cause.getMessage() == null ? cause.toString() : cause.getMessage();
    }
}
