//! A short selection of the fault suite.

use std::time::Duration;

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
