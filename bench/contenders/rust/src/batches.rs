//! Records of a consumer in batches.
//!
//! `BaseConsumer::poll` makes an event for every record and looks at the clock, which takes a fifth of the
//! CPU time of the whole program. librdkafka's own batches do not, but the crate has no safe form of them.

use std::time::Duration;
use std::{ptr, slice};

use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_message_destroy, rd_kafka_queue_destroy,
    rd_kafka_queue_get_consumer,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaMessage, RDKafkaQueue, RDKafkaRespErr};

const BATCH_RECORDS: usize = 1_000;

pub struct Batches<'a> {
    queue: *mut RDKafkaQueue,
    messages: Vec<*mut RDKafkaMessage>,
    _consumer: &'a BaseConsumer,
}

impl<'a> Batches<'a> {
    pub fn new(consumer: &'a BaseConsumer) -> Self {
        // Safety: the client lives longer than the queue, which is given back in `drop`.
        let queue = unsafe { rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Batches { queue, messages: vec![ptr::null_mut(); BATCH_RECORDS], _consumer: consumer }
    }

    /// Hands over the payloads of the next records; returns how many.
    pub fn next(&mut self, timeout: Duration, each: &mut impl FnMut(&[u8])) -> KafkaResult<u64> {
        let (timeout_ms, room) = (timeout.as_millis() as i32, self.messages.len());
        // Safety: there is room for that many messages.
        let read =
            unsafe { rd_kafka_consume_batch_queue(self.queue, timeout_ms, self.messages.as_mut_ptr(), room) };
        let read = usize::try_from(read).expect("the queue is open");
        let mut outcome = Ok(read as u64);
        for &message in &self.messages[..read] {
            // Safety: the message is valid until it is destroyed, here and nowhere else.
            unsafe {
                match payload(&*message) {
                    Ok(document) => each(document),
                    Err(error) => outcome = Err(error),
                }
                rd_kafka_message_destroy(message);
            }
        }
        outcome
    }
}

impl Drop for Batches<'_> {
    fn drop(&mut self) {
        // Safety: it is ours since `new`.
        unsafe { rd_kafka_queue_destroy(self.queue) };
    }
}

fn payload(message: &RDKafkaMessage) -> KafkaResult<&[u8]> {
    match message.err {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR if message.payload.is_null() => Ok(&[]),
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR => {
            // Safety: librdkafka keeps so many bytes for as long as the message lives.
            Ok(unsafe { slice::from_raw_parts(message.payload.cast(), message.len) })
        }
        error => Err(KafkaError::MessageConsumption(error.into())),
    }
}
