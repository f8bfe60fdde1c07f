package io.streamagg.flink;

import io.streamagg.core.JobSettings;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Properties;
import java.util.zip.CRC32;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.DefaultKafkaDatasetIdentifier;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacet;
import org.apache.flink.connector.kafka.lineage.KafkaDatasetFacetProvider;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.sink.TransactionNamingStrategy;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Headers;

/** Where results and dead letters go. */
final class Sinks {
    private Sinks() {}

    /** Results and references to late records, in one transaction for each checkpoint. */
    static KafkaSink<Outgoing> results(JobSettings settings, Properties properties) {
        Properties producer = new Properties();
        producer.putAll(properties);
        producer.setProperty("transaction.timeout.ms", String.valueOf(settings.transactionMs()));
        boolean once = settings.delivery() == JobSettings.Delivery.EXACTLY_ONCE;
        return KafkaSink.<Outgoing>builder()
                .setBootstrapServers(settings.kafka().bootstrapServers())
                .setKafkaProducerConfig(producer)
                .setDeliveryGuarantee(once ? DeliveryGuarantee.EXACTLY_ONCE : DeliveryGuarantee.AT_LEAST_ONCE)
                // A few ids, used again and again, instead of a new one for each checkpoint.
                .setTransactionNamingStrategy(TransactionNamingStrategy.POOLING)
                .setTransactionalIdPrefix(settings.kafka().group() + ".flink")
                .setRecordSerializer(new ResultRecords(topics(settings)))
                .build();
    }

    private static List<String> topics(JobSettings settings) {
        return settings.lateTopic() == null
                ? List.of(settings.output())
                : List.of(settings.output(), settings.lateTopic());
    }

    /** What open periods hold; what a daemon does not know of from the head of the topic it removes. */
    static KafkaSink<Outgoing> state(JobSettings settings, Properties properties) {
        return KafkaSink.<Outgoing>builder()
                .setBootstrapServers(settings.kafka().bootstrapServers())
                .setKafkaProducerConfig(properties)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setRecordSerializer(new ResultRecords(List.of(settings.stateTopic())))
                .build();
    }

    /** After a failure some are written twice, which partition and offset in their headers tell. */
    static KafkaSink<Letter> letters(JobSettings settings, Properties properties) {
        return KafkaSink.<Letter>builder()
                .setBootstrapServers(settings.kafka().bootstrapServers())
                .setKafkaProducerConfig(properties)
                .setDeliveryGuarantee(DeliveryGuarantee.AT_LEAST_ONCE)
                .setRecordSerializer(new LetterRecords(settings.input(), settings.deadLetter()))
                .build();
    }

    /** In the partition that streamagg would choose, which is librdkafka's choice. */
    private static final class ResultRecords
            implements KafkaRecordSerializationSchema<Outgoing>, KafkaDatasetFacetProvider {
        private static final long serialVersionUID = 1;

        private final ArrayList<String> topics;

        ResultRecords(List<String> topics) {
            this.topics = new ArrayList<>(topics);
        }

        /** A pool of transactional ids needs to know them. */
        @Override
        public Optional<KafkaDatasetFacet> getKafkaDatasetFacet() {
            return Optional.of(new DefaultKafkaDatasetFacet(DefaultKafkaDatasetIdentifier.ofTopics(topics)));
        }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(
                Outgoing outgoing, KafkaSinkContext context, Long timestamp) {
            int[] partitions = context.getPartitionsForTopic(outgoing.topic());
            CRC32 checksum = new CRC32();
            checksum.update(outgoing.key());
            int partition = partitions[(int) (checksum.getValue() % partitions.length)];
            return new ProducerRecord<>(
                    outgoing.topic(), partition, null, outgoing.key(), outgoing.value());
        }
    }

    /** As streamagg writes them (docs/output.md). */
    private static final class LetterRecords implements KafkaRecordSerializationSchema<Letter> {
        private static final long serialVersionUID = 1;
        /** What a producer sends at most in one request by default, less room for everything else in it. */
        private static final int MOST_BYTES = (1 << 20) - 4096;

        private final String input;
        private final String topic;

        LetterRecords(String input, String topic) {
            this.input = input;
            this.topic = topic;
        }

        @Override
        public ProducerRecord<byte[], byte[]> serialize(
                Letter letter, KafkaSinkContext context, Long timestamp) {
            boolean whole = length(letter.key()) + length(letter.payload()) <= MOST_BYTES;
            ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(
                    topic, null, whole ? letter.key() : null, whole ? letter.payload() : null);
            Headers headers = record.headers();
            headers.add("reason", text(letter.reason()));
            headers.add("topic", text(input));
            headers.add("partition", text(letter.partition()));
            headers.add("offset", text(letter.offset()));
            if (letter.timestampMs() >= 0) {
                headers.add("timestamp", text(letter.timestampMs()));
            }
            if (!whole) {
                headers.add("omitted", text(length(letter.payload())));
            }
            return record;
        }

        private static int length(byte[] bytes) {
            return bytes == null ? 0 : bytes.length;
        }

        private static byte[] text(Object value) {
            return value.toString().getBytes(StandardCharsets.UTF_8);
        }
    }
}
