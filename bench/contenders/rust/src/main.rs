//! Counts the unique users of every minute of a topic, as fast as it can be done by hand.
//!
//! `ceiling BOOTSTRAP TOPIC GROUP RESULT strict|early` reads the topic to its present end and writes one JSON
//! object to the file RESULT. Two threads divide the partitions; each has a consumer and sets of its own.

mod batches;
mod decode;
mod topic;
mod windows;

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;
use std::{env, fs, thread};

use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaResult;
use serde::Serialize;

use decode::{early, strict};
use topic::Share;
use windows::Windows;

const THREADS: usize = 2;

#[derive(Serialize)]
struct Outcome {
    records: u64,
    seconds: f64,
    windows: BTreeMap<i64, usize>,
}

/// What adds the record that a document holds; it leaves out what is none.
trait Decode: Fn(&[u8], &mut Windows) + Copy + Send {}

impl<F: Fn(&[u8], &mut Windows) + Copy + Send> Decode for F {}

/// Reads a share of the partitions to its end.
fn count(consumer: &BaseConsumer, share: &Share, decode: impl Decode) -> KafkaResult<Windows> {
    let mut windows = Windows::default();
    share.read(consumer, |document| decode(document, &mut windows))?;
    Ok(windows)
}

fn run(bootstrap: &str, name: &str, group: &str, decode: impl Decode) -> KafkaResult<Outcome> {
    let consumers: Vec<BaseConsumer> =
        (0..THREADS).map(|_| topic::consumer(bootstrap, group)).collect::<KafkaResult<_>>()?;
    let shares = topic::shares(&consumers[0], name, THREADS)?;
    let started = Instant::now();
    let parts: Vec<Windows> = thread::scope(|scope| {
        let threads: Vec<_> = (consumers.iter().zip(&shares))
            .map(|(consumer, share)| scope.spawn(move || count(consumer, share, decode)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<KafkaResult<_>>()
    })?;
    let windows = windows::uniques(&parts);
    let seconds = started.elapsed().as_secs_f64();
    Ok(Outcome { records: shares.iter().map(Share::records).sum(), seconds, windows })
}

fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<String> = env::args().skip(1).collect();
    let [bootstrap, name, group, result, manner] = given.as_slice() else {
        return Err("usage: ceiling BOOTSTRAP TOPIC GROUP RESULT strict|early".into());
    };
    let outcome = match manner.as_str() {
        "strict" => run(bootstrap, name, group, strict)?,
        "early" => run(bootstrap, name, group, early)?,
        _ => return Err(format!("{manner} is neither strict nor early").into()),
    };
    fs::write(result, sonic_rs::to_string(&outcome)?)?;
    Ok(())
}
