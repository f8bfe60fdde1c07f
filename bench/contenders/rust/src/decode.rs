//! The two fields of a record, taken from its JSON in two manners.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use sonic_rs::JsonValueTrait;

use crate::windows::Windows;

/// Parses and validates the whole document; of several fields of one name the last one counts.
pub fn strict(document: &[u8], windows: &mut Windows) {
    if let Ok(Record { ts, user }) = sonic_rs::from_slice(document) {
        windows.add(ts, &user);
    }
}

/// Stops at the second of the two fields and checks nothing: a document must be JSON, or anything may happen.
/// Of several fields of one name the first one counts.
pub fn early(document: &[u8], windows: &mut Windows) {
    let (mut ts, mut user) = (None, None);
    // Safety: there is none but that the topics of the benchmark hold nothing but JSON.
    let fields = unsafe { sonic_rs::to_object_iter_unchecked(document) };
    for (key, value) in fields.map_while(Result::ok) {
        match &*key {
            "ts" if ts.is_none() => ts = Some(value),
            "uid" if user.is_none() => user = Some(value),
            _ => continue,
        }
        if let (Some(ts), Some(user)) = (&ts, &user) {
            if let (Some(ts), Some(user)) = (ts.as_i64(), user.as_str()) {
                windows.add(ts, user);
            }
            return;
        }
    }
}

struct Record<'a> {
    ts: i64,
    user: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Ts,
    Uid,
    #[serde(other)]
    Other,
}

/// A string that is copied only if it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object with ts and uid")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record<'de>, A::Error> {
        let (mut ts, mut user) = (None, None);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Ts => ts = Some(map.next_value()?),
                Field::Uid => user = Some(map.next_value::<Text>()?.0),
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Record {
            ts: ts.ok_or_else(|| A::Error::missing_field("ts"))?,
            user: user.ok_or_else(|| A::Error::missing_field("uid"))?,
        })
    }
}

// Derived, it would refuse a document with two fields of one name.
impl<'de> Deserialize<'de> for Record<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}
