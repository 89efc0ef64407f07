//! The committed description of the HTTP interface.

#[test]
fn the_committed_description_is_the_one_that_the_code_gives() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let committed = std::fs::read_to_string(path).expect("the committed description");
    let current = schedule_service::http::openapi()
        .to_pretty_json()
        .expect("a description");
    assert!(
        committed.trim() == current.trim(),
        "openapi.json is out of date; make it anew with: \
         cargo run -q -p schedule-service -- openapi > schedule-service/openapi.json"
    );
}
