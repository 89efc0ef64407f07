//! Which events are news: the highest version seen of each contractor and kind.

use std::collections::HashMap;

use uuid::Uuid;

use crate::event::Kind;

/// The highest version seen, per contractor and kind of event.
///
/// There is one entry for each contractor and kind, about 64 bytes. Should there be more
/// contractors than `capacity`, those heard of longest ago are forgotten, at most `2 * capacity`
/// are remembered: two generations of which the older one is dropped whole.
#[derive(Debug)]
pub struct Versions {
    young: HashMap<(Uuid, Kind), i64>,
    old: HashMap<(Uuid, Kind), i64>,
    capacity: usize,
}

impl Versions {
    /// Knows nothing yet.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            capacity: capacity.max(1),
        }
    }

    /// Notes an event and says whether it is news: higher than all that was seen before.
    pub fn is_news(&mut self, contractor: Uuid, kind: Kind, version: i64) -> bool {
        let key = (contractor, kind);
        let known = self.young.get(&key).or_else(|| self.old.get(&key)).copied();
        let is_news = known.is_none_or(|known| version > known);
        let highest = if is_news {
            version
        } else {
            known.unwrap_or(version)
        };
        if self.young.insert(key, highest).is_none() && self.young.len() >= self.capacity {
            self.old = std::mem::take(&mut self.young);
        }
        is_news
    }

    /// How many entries are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }

    /// True where nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Versions;
    use crate::event::Kind;
    use proptest::prelude::*;
    use uuid::Uuid;

    #[test]
    fn duplicates_and_stale_events_are_no_news() {
        let mut versions = Versions::new(100);
        let ada = Uuid::from_u128(1);
        let seen: Vec<bool> = [1, 3, 3, 2, 4]
            .map(|v| versions.is_news(ada, Kind::Schedule, v))
            .to_vec();
        assert_eq!(seen, [true, true, false, false, true]);
    }

    #[test]
    fn kinds_and_contractors_have_versions_of_their_own() {
        let mut versions = Versions::new(100);
        assert!(versions.is_news(Uuid::from_u128(1), Kind::Schedule, 5));
        assert!(versions.is_news(Uuid::from_u128(1), Kind::Availability, 5));
        assert!(versions.is_news(Uuid::from_u128(2), Kind::Schedule, 5));
        assert_eq!(versions.len(), 3);
    }

    #[test]
    fn a_contractor_that_is_heard_of_is_not_forgotten_and_the_whole_is_bounded() {
        let mut versions = Versions::new(10);
        let ada = Uuid::from_u128(0);
        assert!(versions.is_news(ada, Kind::Schedule, 7));
        for n in 1..1000_u128 {
            versions.is_news(Uuid::from_u128(n), Kind::Schedule, 1);
            assert!(
                !versions.is_news(ada, Kind::Schedule, 6),
                "forgotten after {n}"
            );
            assert!(versions.len() <= 20);
        }
    }

    proptest! {
        #[test]
        fn what_is_news_rises(events in prop::collection::vec((0_u128..4, 0_i64..20), 0..200)) {
            let mut versions = Versions::new(1000);
            let mut shown = std::collections::HashMap::new();
            for (contractor, version) in events {
                if versions.is_news(Uuid::from_u128(contractor), Kind::Schedule, version) {
                    let before = shown.insert(contractor, version);
                    prop_assert!(before.is_none_or(|before| before < version));
                } else {
                    prop_assert!(shown.get(&contractor).is_some_and(|before| *before >= version));
                }
            }
        }
    }
}
