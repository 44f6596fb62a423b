//! What each person's calls cost at Drive.

use std::sync::Arc;
use std::sync::Mutex;

use quick_cache::sync::Cache;

use crate::clock::{Clock, Timestamp};
use crate::google::drive::Cost;
use crate::ids::UserId;

/// How many people are remembered; of more, those asked for least are forgotten.
const PEOPLE: usize = 10_000;

/// Quota units that a person's calls have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Since locum was started, or since the person was last forgotten here.
    pub total: u64,
    /// In the minute that is running; Drive allows 325,000.
    pub this_minute: u64,
}

/// Counts units. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    people: Arc<Cache<UserId, Arc<Mutex<Spent>>>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Spent {
    units: Units,
    minute: i64,
}

impl Spent {
    fn at(&mut self, now: Timestamp) -> &mut Units {
        let minute = now.unix().div_euclid(60);
        if minute != self.minute {
            self.minute = minute;
            self.units.this_minute = 0;
        }
        &mut self.units
    }
}

impl Meter {
    pub(super) fn new(clock: Clock) -> Self {
        Self { people: Arc::new(Cache::new(PEOPLE)), clock }
    }

    pub(super) fn count(&self, user: UserId, cost: Cost) {
        let spent =
            self.people.get_or_insert_with(&user, || Ok::<_, std::convert::Infallible>(Arc::default()));
        let Ok(spent) = spent;
        let mut spent = spent.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let units = spent.at(self.clock.now());
        units.total += u64::from(cost.units());
        units.this_minute += u64::from(cost.units());
    }

    pub(super) fn of(&self, user: UserId) -> Units {
        self.people.get(&user).map_or_else(Units::default, |spent| {
            *spent.lock().unwrap_or_else(std::sync::PoisonError::into_inner).at(self.clock.now())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn units_are_counted_by_person_and_minute() {
        let clock = Clock::manual(Timestamp::from_unix(1_795_368_972));
        let meter = Meter::new(clock.clone());
        meter.count(UserId(1), Cost::List);
        meter.count(UserId(1), Cost::Read);
        meter.count(UserId(2), Cost::Edit);
        assert_eq!(meter.of(UserId(1)), Units { total: 105, this_minute: 105 });
        clock.advance(Duration::from_secs(60));
        assert_eq!(meter.of(UserId(1)), Units { total: 105, this_minute: 0 });
        meter.count(UserId(1), Cost::Download);
        assert_eq!(meter.of(UserId(1)), Units { total: 305, this_minute: 200 });
        assert_eq!(meter.of(UserId(3)), Units::default());
    }
}
