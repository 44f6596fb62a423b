//! A bounded table of what is a short time old: the oldest goes when it is full, and everything goes with
//! its time.

use std::collections::{HashMap, VecDeque};

use crate::clock::Timestamp;

/// Values by name, in the order of their age.
#[derive(Debug)]
pub(super) struct Recent<V> {
    values: HashMap<Box<str>, (Timestamp, V)>,
    order: VecDeque<(Timestamp, Box<str>)>,
    lifetime: i64,
    limit: usize,
}

impl<V> Recent<V> {
    /// `lifetime` in seconds.
    pub(super) fn new(lifetime: i64, limit: usize) -> Self {
        Self { values: HashMap::new(), order: VecDeque::new(), lifetime, limit }
    }

    /// Puts in a value under a name that is not in use.
    pub(super) fn put(&mut self, name: &str, value: V, now: Timestamp) {
        self.forget_old(now);
        while self.values.len() >= self.limit {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            self.values.remove(&oldest);
        }
        self.order.push_back((now, name.into()));
        self.values.insert(name.into(), (now, value));
    }

    /// The value, while it is young enough.
    pub(super) fn get_mut(&mut self, name: &str, now: Timestamp) -> Option<&mut V> {
        self.forget_old(now);
        self.values.get_mut(name).map(|(_, value)| value)
    }

    /// The value, once.
    pub(super) fn take(&mut self, name: &str, now: Timestamp) -> Option<V> {
        self.forget_old(now);
        self.values.remove(name).map(|(_, value)| value)
    }

    fn forget_old(&mut self, now: Timestamp) {
        while self.order.front().is_some_and(|(since, _)| now.since(*since) >= self.lifetime) {
            if let Some((_, name)) = self.order.pop_front() {
                self.values.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_and_the_oldest_go() {
        let at = |seconds: i64| Timestamp::from_unix(1_000 + seconds);
        let mut table = Recent::new(10, 2);
        table.put("a", 1, at(0));
        table.put("b", 2, at(1));
        assert_eq!(table.get_mut("a", at(9)), Some(&mut 1));
        table.put("c", 3, at(5));
        assert_eq!(table.get_mut("a", at(5)), None, "the oldest made room");
        assert_eq!(table.get_mut("b", at(11)), None, "ten seconds are over");
        assert_eq!(table.take("c", at(11)), Some(3));
        assert_eq!(table.take("c", at(11)), None, "once");
        // What was taken takes no room.
        table.put("d", 4, at(12));
        table.put("e", 5, at(12));
        assert_eq!((table.take("d", at(12)), table.take("e", at(12))), (Some(4), Some(5)));
    }
}
