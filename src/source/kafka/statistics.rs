//! The few numbers of the client's statistics that are looked at. The whole of them is large, and fields come and go.

use super::partitions::{Key, NextOffset};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What librdkafka says of itself every few seconds.
#[derive(Deserialize)]
pub struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
    #[serde(default)]
    topics: BTreeMap<String, Topic>,
}

#[derive(Deserialize)]
struct Broker {
    #[serde(default = "unknown")]
    nodeid: i64,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
struct Topic {
    #[serde(default)]
    partitions: BTreeMap<String, Partition>,
}

#[derive(Deserialize)]
struct Partition {
    #[serde(default = "unknown")]
    leader: i64,
    #[serde(default = "unknown")]
    hi_offset: i64,
    #[serde(default = "unknown")]
    ls_offset: i64,
}

fn unknown() -> i64 {
    -1
}

impl Statistics {
    /// Where partitions end, where that is known.
    pub fn ends(&self) -> impl Iterator<Item = (&str, i32, NextOffset)> {
        self.topics.iter().flat_map(|(topic, Topic { partitions })| {
            partitions.iter().filter_map(move |(number, ends)| {
                // With `read_committed` what comes after the last stable offset cannot be read yet.
                let end = if ends.ls_offset >= 0 { ends.ls_offset } else { ends.hi_offset };
                Some((topic.as_str(), number.parse().ok()?, end)).filter(|_| end >= 0)
            })
        })
    }

    /// Whether there is a connection to the leader of each of these partitions.
    pub fn reaches(&self, keys: &[Key]) -> bool {
        keys.iter().all(|key| {
            let partition =
                self.topics.get(&*key.topic).and_then(|topic| topic.partitions.get(&key.partition.to_string()));
            let leader = partition.map_or(-1, |partition| partition.leader);
            leader >= 0 && self.brokers.values().any(|broker| broker.nodeid == leader && broker.state == "UP")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Statistics {
        serde_json::from_str(text).expect("readable")
    }

    #[test]
    fn ends_are_read_whatever_else_there_is() {
        let text = r#"{"name":"x","topics":{"t":{"topic":"t","partitions":{
            "0":{"hi_offset":7,"new":{}}, "1":{"hi_offset":9,"ls_offset":8}, "-1":{}}}}}"#;
        assert_eq!(parsed(text).ends().collect::<Vec<_>>(), [("t", 0, 7), ("t", 1, 8)]);
        assert_eq!(parsed("{}").ends().count(), 0);
    }

    #[test]
    fn who_leads_must_be_connected() {
        let statistics = parsed(
            r#"{"brokers":{"a:1/1":{"nodeid":1,"state":"UP"}, "a:2/2":{"nodeid":2,"state":"TRY_CONNECT"}},
            "topics":{"t":{"partitions":{"0":{"leader":1}, "1":{"leader":2}, "2":{"leader":-1}}}}}"#,
        );
        let reaches = |partitions: &[i32]| {
            let keys: Vec<Key> = partitions.iter().map(|&partition| Key { topic: "t".into(), partition }).collect();
            statistics.reaches(&keys)
        };
        assert!(reaches(&[0]));
        assert!(!reaches(&[0, 1]) && !reaches(&[2]) && !reaches(&[3]));
    }
}
