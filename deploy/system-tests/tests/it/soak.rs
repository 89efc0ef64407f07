//! A short selection of the fault suite, and proof that its checker can fail.

use std::time::Duration;

use system_tests::faults::fault::Backend;
use system_tests::faults::{self, Fault, Plan};

const SEED: u64 = 20_261_124;

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_selection_of_faults_loses_nothing() {
    let plan = Plan {
        seed: SEED,
        time: Duration::from_mins(1),
        faults: 5,
        kinds: Fault::all(),
        check_every: 5,
        patience: Duration::from_mins(1),
        mutant: None,
    };
    let report = Box::pin(faults::run(&plan)).await.unwrap();
    assert!(report.is_sound(), "{report}");
    assert!(report.injected() > 0 && report.answered() > 100, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_finds_an_outbox_that_is_written_after_the_commit() {
    let plan = Plan {
        seed: SEED,
        time: Duration::from_mins(1),
        faults: 5,
        kinds: vec![Fault::Cut(Backend::RabbitMq)],
        check_every: 1,
        patience: Duration::from_secs(10),
        mutant: Some("outbox-after-commit".to_owned()),
    };
    let report = Box::pin(faults::run(&plan)).await.unwrap();
    let broken = report.broken().unwrap_or_default();
    // A check that could not be made would be no proof.
    assert!(broken.contains("no subscriber was told"), "{report}");
}
