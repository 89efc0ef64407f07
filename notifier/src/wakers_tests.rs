//! Who is woken, and when.

use super::{Instant, Interests, MOST_INTERESTS, PHASES, Wakers, phase_of};
use crate::caller::Caller;
use crate::event::Kind;
use crate::filter::{Facts, Filter};
use crate::slot::Slot;
use chrono::DateTime;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

fn about(contractor: u128, territory: &str, previous: Option<&str>) -> Interests {
    change(Kind::Availability, contractor, territory, previous)
}

fn change(kind: Kind, contractor: u128, territory: &str, previous: Option<&str>) -> Interests {
    let mut interests = Interests::default();
    interests.add(&Facts {
        kind,
        contractor: Uuid::from_u128(contractor),
        territory: territory.into(),
        previous_territory: previous.map(Into::into),
    });
    interests
}

fn client(query: &str) -> Slot {
    let filter = Filter::parse(query, 10).expect("a filter");
    let caller = Caller {
        expires_at: Some(DateTime::UNIX_EPOCH),
        ..Caller::at([127, 0, 0, 1])
    };
    Slot::new(caller, Arc::new(filter), DateTime::UNIX_EPOCH)
}

fn is_served(query: &str, interests: &Interests) -> bool {
    let wakers = Arc::new(Wakers::new(1, Duration::ZERO));
    let _client = wakers.join(client(query));
    let mut clients = Vec::new();
    wakers.shards[0]
        .members
        .lock()
        .collect(interests, &mut clients);
    !clients.is_empty()
}

#[test]
fn only_those_who_are_interested_are_served() {
    let one = Uuid::from_u128(1);
    assert!(is_served("", &about(1, "leeds", None)));
    assert!(is_served("territory=leeds", &about(1, "leeds", None)));
    assert!(is_served(
        "territory=leeds",
        &about(1, "york", Some("leeds"))
    ));
    assert!(!is_served("territory=leeds", &about(1, "york", None)));
    assert!(is_served(
        &format!("contractor={one}&territory=bath"),
        &about(1, "york", None)
    ));
    assert!(!is_served(
        &format!("contractor={one}"),
        &about(2, "york", None)
    ));
    assert!(is_served("territory=bath", &Interests::everything()));
    assert!(!is_served("", &Interests::default()));
}

/// Announces one after the other; how long after the last of them the client has its turn.
async fn waits(announced: &[Interests]) -> Duration {
    const PATIENCE: Duration = Duration::from_mins(1);
    let wakers = Arc::new(Wakers::new(1, PATIENCE));
    let _client = wakers.join(client(""));
    let turn = tokio::spawn({
        let wakers = Arc::clone(&wakers);
        async move {
            let mut clients = Vec::new();
            wakers.next(0, &mut clients).await;
            assert_eq!(clients.len(), 1);
        }
    });
    let mut last = Instant::now();
    for interests in announced {
        tokio::time::sleep(PATIENCE / 4).await;
        last = Instant::now();
        wakers.announce(interests);
    }
    turn.await.expect("its turn");
    last.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_schedule_waits_a_moment_for_what_became_of_it() {
    let about = |kind| change(kind, 1, "leeds", None);
    let schedule = || about(Kind::Schedule);
    let at_once = Duration::from_millis(1);
    assert!(waits(&[about(Kind::Availability)]).await <= at_once);
    assert!(waits(&[schedule(), about(Kind::Availability)]).await <= at_once);
    assert!(waits(&[schedule(), Interests::everything()]).await <= at_once);
    let alone = waits(&[schedule()]).await.as_secs();
    assert!((60..=61).contains(&alone), "{alone}");
    let first_of_two = waits(&[schedule(), schedule()]).await.as_secs();
    assert!((45..=46).contains(&first_of_two), "{first_of_two}");
}

#[test]
fn streams_end_when_their_time_is_over() {
    let wakers = Arc::new(Wakers::new(1, Duration::ZERO));
    let at = |seconds| DateTime::from_timestamp(seconds, 0).expect("an instant");
    let join = |expires_at| {
        let mut slot = client("");
        slot.caller.expires_at = expires_at;
        wakers.join(slot)
    };
    let (soon, late, never) = (join(Some(at(10))), join(Some(at(11))), join(None));
    wakers.expire(at(9));
    assert!(!soon.slot().must_end());
    wakers.expire(at(10));
    assert!(soon.slot().must_end() && soon.slot().has_expired());
    assert!(!late.slot().must_end() && !never.slot().must_end());
    wakers.expire(at(100));
    assert!(late.slot().must_end() && !never.slot().must_end());
}

#[test]
fn too_many_interests_are_everybodys() {
    let mut merged = Interests::default();
    for n in 0..=MOST_INTERESTS {
        merged.merge(&about(n as u128, "leeds", None));
    }
    assert!(merged.everything && merged.contractors.is_empty());
}

#[test]
fn who_asks_alike_shares_one_filter() {
    let wakers = Arc::new(Wakers::new(1, Duration::ZERO));
    let one = format!("contractor={}&territory=a", Uuid::from_u128(1));
    let shares = |first: &str, second: &str| {
        let [first, second] = [first, second].map(|query| wakers.join(client(query)));
        Arc::ptr_eq(&first.slot().filter, &second.slot().filter)
    };
    for query in ["", "territory=a&territory=b", &one] {
        assert!(shares(query, query), "{query}");
    }
    for (first, second) in [
        ("", "territory=a"),
        ("territory=a&territory=b", "territory=a"),
        ("territory=a", &one),
    ] {
        assert!(!shares(first, second), "{first} and {second}");
    }
}

#[test]
fn who_leaves_leaves_nothing_behind() {
    let wakers = Arc::new(Wakers::new(2, Duration::ZERO));
    let one = Uuid::from_u128(1);
    for query in [
        "",
        "territory=a&territory=b",
        &format!("contractor={one}&territory=a"),
    ] {
        drop([wakers.join(client(query)), wakers.join(client(query))]);
    }
    for shard in &wakers.shards {
        let members = shard.members.lock();
        assert!(members.by_phase.iter().all(BTreeMap::is_empty) && members.unfiltered.is_empty());
        assert!(
            members.expiring.is_empty()
                && members.by_territory.is_empty()
                && members.by_contractor.is_empty()
        );
    }
}

#[test]
fn each_client_has_one_phase_and_the_phases_are_even() {
    let mut sizes = vec![0_usize; usize::try_from(PHASES).expect("small")];
    for id in 0..3200 {
        sizes[phase_of(id)] += 1;
    }
    assert!(
        sizes.iter().all(|size| (80..=120).contains(size)),
        "{sizes:?}"
    );

    let wakers = Arc::new(Wakers::new(2, Duration::ZERO));
    let client = wakers.join(client(""));
    let all = || (0..PHASES).flat_map(|phase| wakers.group(phase));
    all().for_each(|slot| _ = slot.heartbeat(9));
    assert!(client.slot().takes_heartbeat() && !client.slot().takes_heartbeat());
    all().for_each(|slot| slot.end());
    assert!(client.slot().must_end());
}
