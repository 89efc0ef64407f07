//! What a client asks to see.

use std::collections::BTreeSet;

use serde::{Serialize, Serializer};
use shared_events::schedule::is_slug;
use shared_events::service::auth::{Territories, forbidden};
use shared_events::service::{Caller, Problem};
use uuid::Uuid;

use crate::event::Kind;

/// Which events a client is shown: for each of the three, one of the values, or any where there is
/// none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Filter {
    /// Territories' slugs.
    #[serde(rename = "territory")]
    #[schema(value_type = Vec<String>)]
    pub territories: BTreeSet<Box<str>>,
    /// Contractors' ids.
    #[serde(rename = "contractor")]
    #[schema(value_type = Vec<Uuid>)]
    pub contractors: BTreeSet<Uuid>,
    /// Kinds of events.
    #[serde(rename = "type", serialize_with = "names")]
    #[schema(value_type = Vec<String>)]
    pub kinds: BTreeSet<Kind>,
}

fn names<S: Serializer>(kinds: &BTreeSet<Kind>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(kinds.iter().map(|kind| kind.name()))
}

/// What decides whether an event is shown to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its kind.
    pub kind: Kind,
    /// Whom it is about.
    pub contractor: Uuid,
    /// The contractor's territory.
    pub territory: Box<str>,
    /// The territory that the contractor has left by this change.
    pub previous_territory: Option<Box<str>>,
}

impl Filter {
    /// Leaves of this filter what `caller` has to do with: where it names no territories, the
    /// caller's. 403 where it names others, or where there are none.
    pub fn within(mut self, caller: &Caller) -> Result<Self, Problem> {
        for territory in &self.territories {
            caller.must_see(territory)?;
        }
        if let Territories::Only(own) = caller.territories()
            && self.territories.is_empty()
        {
            if own.is_empty() {
                return Err(forbidden().detail("no territory is yours"));
            }
            self.territories = own.iter().map(|slug| slug.as_str().into()).collect();
        }
        Ok(self)
    }

    /// True where a client with this filter is shown such an event. A contractor that changes its
    /// territory is shown to both.
    #[must_use]
    pub fn shows(&self, facts: &Facts) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&facts.kind))
            && (self.contractors.is_empty() || self.contractors.contains(&facts.contractor))
            && (self.territories.is_empty()
                || self.territories.contains(&facts.territory)
                || facts
                    .previous_territory
                    .as_ref()
                    .is_some_and(|t| self.territories.contains(t)))
    }
}

/// A bad value of a query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParameter {
    /// The parameter's name.
    pub name: String,
    /// What is wrong, for people.
    pub message: String,
}

/// The query of a subscription: the filter and, apart from it, the id to resume after.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// What is to be shown.
    pub filter: Filter,
    /// The value of `lastEventId`.
    pub last_event_id: Option<String>,
}

impl Query {
    /// Reads a query string. All that is wrong with it is told at once, at most one fault a
    /// parameter and value.
    ///
    /// `max_values` bounds the values of each parameter.
    pub fn parse(query: &str, max_values: usize) -> Result<Self, Vec<BadParameter>> {
        /// So many faults are told; a query that has more has told enough.
        const MOST_FAULTS: usize = 20;
        let mut read = Self::default();
        let mut faults = Vec::new();
        let mut counts = [0_usize; 3];
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if faults.len() >= MOST_FAULTS {
                break;
            }
            let slot = ["territory", "contractor", "type"]
                .iter()
                .position(|known| *known == name);
            if let Some(count) = slot.and_then(|slot| counts.get_mut(slot)) {
                *count += 1;
                if *count > max_values {
                    if *count == max_values + 1 {
                        faults.push(fault(&name, format!("at most {max_values} values")));
                    }
                    continue;
                }
            }
            if let Err(message) = read.take(&name, &value) {
                faults.push(fault(&name, message));
            }
        }
        if faults.is_empty() {
            Ok(read)
        } else {
            Err(faults)
        }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "territory" if is_slug(value) => {
                self.filter.territories.insert(value.into());
            }
            "territory" => return Err("must match [a-z0-9-]{1,64}".to_owned()),
            "contractor" => {
                let id = value.parse().map_err(|_| "must be a UUID".to_owned())?;
                self.filter.contractors.insert(id);
            }
            "type" => {
                let kind =
                    Kind::parse(value).ok_or("must be schedule.updated or availability.updated")?;
                self.filter.kinds.insert(kind);
            }
            "lastEventId" if self.last_event_id.is_some() => {
                return Err("must be given once".to_owned());
            }
            "lastEventId" => self.last_event_id = Some(value.to_owned()),
            _ => {
                let known = "territory, contractor, type and lastEventId";
                return Err(format!("unknown parameter: there are {known}"));
            }
        }
        Ok(())
    }
}

fn fault(name: &str, message: String) -> BadParameter {
    BadParameter {
        name: name.chars().take(64).collect(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::{BadParameter, Facts, Filter, Query};
    use crate::event::Kind;
    use uuid::Uuid;

    impl Filter {
        /// The filter of a query without faults.
        pub(crate) fn parse(query: &str, max_values: usize) -> Option<Self> {
            Query::parse(query, max_values)
                .ok()
                .map(|query| query.filter)
        }
    }

    const ADA: &str = "018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01";

    fn facts(kind: Kind, contractor: u128, territory: &str, previous: Option<&str>) -> Facts {
        Facts {
            kind,
            contractor: Uuid::from_u128(contractor),
            territory: territory.into(),
            previous_territory: previous.map(Into::into),
        }
    }

    #[test]
    fn no_parameter_shows_everything() {
        let filter = Filter::parse("", 100).expect("a filter");
        assert!(filter.shows(&facts(Kind::Schedule, 1, "leeds", None)));
        assert!(filter.shows(&facts(Kind::Availability, 2, "york", None)));
    }

    #[test]
    fn values_of_one_parameter_widen_and_parameters_narrow() {
        let filter = Filter::parse("territory=leeds&territory=york&type=schedule.updated", 100)
            .expect("a filter");
        assert!(filter.shows(&facts(Kind::Schedule, 1, "leeds", None)));
        assert!(filter.shows(&facts(Kind::Schedule, 1, "york", None)));
        assert!(!filter.shows(&facts(Kind::Schedule, 1, "bath", None)));
        assert!(!filter.shows(&facts(Kind::Availability, 1, "york", None)));
        let filter = Filter::parse(&format!("contractor={ADA}"), 100).expect("a filter");
        assert!(!filter.shows(&facts(Kind::Schedule, 1, "leeds", None)));
    }

    #[test]
    fn a_move_is_shown_to_both_territories() {
        let moved = facts(Kind::Schedule, 1, "york", Some("leeds"));
        for (query, shown) in [
            ("territory=leeds", true),
            ("territory=york", true),
            ("territory=bath", false),
        ] {
            assert_eq!(
                Filter::parse(query, 100).expect("a filter").shows(&moved),
                shown
            );
        }
    }

    #[test]
    fn both_names_of_a_kind_are_understood() {
        let filter = Filter::parse("type=rosterwire.schedule.updated.v1", 100);
        assert_eq!(filter, Filter::parse("type=schedule.updated", 100));
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = Query::parse(
            "territory=Leeds&contractor=1&type=ready&x=1&lastEventId=a",
            100,
        )
        .expect_err("four faults");
        let names: Vec<&str> = faults.iter().map(|fault| fault.name.as_str()).collect();
        assert_eq!(names, ["territory", "contractor", "type", "x"]);
        Query::parse("territory=", 100).expect_err("an empty slug");
        Query::parse("lastEventId=a&lastEventId=b", 100).expect_err("two ids");
    }

    #[test]
    fn values_and_faults_are_bounded() {
        let many = (0..101)
            .map(|n| format!("territory=t{n}"))
            .collect::<Vec<_>>()
            .join("&");
        assert_eq!(
            Query::parse(&many, 100),
            Err(vec![BadParameter {
                name: "territory".to_owned(),
                message: "at most 100 values".to_owned()
            }])
        );
        assert!(Query::parse(&many, 101).is_ok());
        let faulty = "x=1&".repeat(1000);
        assert_eq!(
            Query::parse(&faulty, 100).map_err(|faults| faults.len()),
            Err(20)
        );
    }
}
