//! Reading a topic from its beginning to its present end.

use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset, TopicPartitionList};

use crate::batches::Batches;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A consumer with the client settings of streamagg.
pub fn consumer(bootstrap: &str, group: &str) -> KafkaResult<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", group)
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "32768")
        .set("fetch.message.max.bytes", "4194304")
        .set("check.crcs", "true")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error")
        .create()
}

/// Partitions of a topic that one consumer reads, with their ends.
pub struct Share {
    topic: String,
    ends: Vec<(i32, i64)>,
}

/// Deals the partitions of a topic out in turn.
pub fn shares(consumer: &BaseConsumer, topic: &str, consumers: usize) -> KafkaResult<Vec<Share>> {
    let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT)?;
    let mut shares: Vec<Share> =
        (0..consumers).map(|_| Share { topic: topic.to_owned(), ends: Vec::new() }).collect();
    for (turn, partition) in metadata.topics()[0].partitions().iter().enumerate() {
        let (_, end) = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT)?;
        shares[turn % consumers].ends.push((partition.id(), end));
    }
    Ok(shares)
}

impl Share {
    pub fn records(&self) -> u64 {
        self.ends.iter().map(|&(_, end)| end as u64).sum()
    }

    /// Hands over the payloads of all records. Topics of the benchmark begin at offset 0 and have no gaps.
    pub fn read(&self, consumer: &BaseConsumer, mut each: impl FnMut(&[u8])) -> KafkaResult<()> {
        let mut beginnings = TopicPartitionList::new();
        for &(partition, _) in &self.ends {
            beginnings.add_partition_offset(&self.topic, partition, Offset::Beginning)?;
        }
        consumer.assign(&beginnings)?;
        let mut batches = Batches::new(consumer);
        let mut left = self.records();
        while left > 0 {
            left -= batches.next(TIMEOUT, &mut each)?;
        }
        Ok(())
    }
}
