//! The wire form, and the descriptions that are generated from it.

use std::fs;
use std::path::Path;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use shared_events::schema::{asyncapi, json_schema};
use shared_events::{AvailabilityUpdated, Envelope, IntegrationEvent, ScheduleUpdated};
use utoipa::ToSchema;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn fixture(name: &str) -> Value {
    serde_json::from_str(&read(&format!("fixtures/{name}.json"))).unwrap()
}

/// Compares with the committed copy; with `UPDATE_CONTRACT` set, writes it.
fn assert_committed(path: &str, expected: &str) {
    if std::env::var_os("UPDATE_CONTRACT").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), expected).unwrap();
    }
    assert!(
        read(path) == expected,
        "{path} is not what the types say; `UPDATE_CONTRACT=1 cargo test -p shared-events \
         --all-features contract` writes it anew, and a changed meaning needs a new version"
    );
}

fn assert_reads_and_writes<E>(name: &str)
where
    E: IntegrationEvent + ToSchema,
    Envelope<E>: Serialize + DeserializeOwned,
{
    let wire = fixture(name);
    let event: Envelope<E> = serde_json::from_value(wire.clone()).unwrap();
    assert_eq!(serde_json::to_value(&event).unwrap(), wire);
    let schema = json_schema::<E>();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&wire)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn schedule_updated_v1_reads_and_writes_the_golden_event() {
    assert_reads_and_writes::<ScheduleUpdated>("schedule.updated.v1");
}

#[test]
fn the_event_of_a_creation_has_null_for_what_was_not_there() {
    assert_reads_and_writes::<ScheduleUpdated>("schedule.updated.v1.created");
}

#[test]
fn availability_updated_v1_reads_and_writes_the_golden_event() {
    assert_reads_and_writes::<AvailabilityUpdated>("availability.updated.v1");
}

#[test]
fn an_envelope_of_another_type_or_version_is_refused() {
    let mut wire = fixture("schedule.updated.v1");
    wire["type"] = "rosterwire.schedule.updated.v2".into();
    let error = serde_json::from_value::<Envelope<ScheduleUpdated>>(wire)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("expected \"rosterwire.schedule.updated.v1\""),
        "{error}"
    );

    let mut old = fixture("availability.updated.v1");
    old["specversion"] = "0.3".into();
    let error = serde_json::from_value::<Envelope<AvailabilityUpdated>>(old).unwrap_err();
    assert!(error.to_string().contains("expected \"1.0\""), "{error}");
}

#[test]
fn new_fields_do_not_disturb_a_subscriber() {
    let mut wire = fixture("schedule.updated.v1");
    wire["sequence"] = "17".into();
    wire["data"]["origin"] = "board".into();
    wire["data"]["schedule"]["rating"] = 5.into();
    let event: Envelope<ScheduleUpdated> = serde_json::from_value(wire).unwrap();
    assert_eq!(event.data.version, 7);
}

#[test]
fn routing_keys_end_in_the_territory() {
    let schedule: Envelope<ScheduleUpdated> =
        serde_json::from_value(fixture("schedule.updated.v1")).unwrap();
    assert_eq!(
        schedule.data.routing_key(),
        "schedule.updated.v1.london-north"
    );
    let availability: Envelope<AvailabilityUpdated> =
        serde_json::from_value(fixture("availability.updated.v1")).unwrap();
    assert_eq!(
        availability.data.routing_key(),
        "availability.updated.v1.london-north"
    );
}

fn pretty(value: &Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(value).unwrap())
}

#[test]
fn the_committed_json_schemas_are_what_the_types_say() {
    assert_committed(
        "schemas/schedule.updated.v1.schema.json",
        &pretty(&json_schema::<ScheduleUpdated>()),
    );
    assert_committed(
        "schemas/availability.updated.v1.schema.json",
        &pretty(&json_schema::<AvailabilityUpdated>()),
    );
}

#[test]
fn the_committed_asyncapi_is_what_the_types_say() {
    assert_committed(
        "asyncapi.yaml",
        &serde_saphyr::to_string(&asyncapi()).unwrap(),
    );
}

#[test]
fn the_schema_refuses_what_the_type_refuses() {
    let schema = json_schema::<ScheduleUpdated>();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let good = fixture("schedule.updated.v1");
    assert!(validator.is_valid(&good));
    for (pointer, bad) in [
        ("/type", Value::from("rosterwire.availability.updated.v1")),
        ("/specversion", Value::from("2.0")),
        ("/data/version", Value::from("7")),
        ("/data/updatedFields/0", Value::from("nickname")),
        ("/data/schedule/workingHours/0/start", Value::from("8:00")),
        ("/data/previousValues/jobs", Value::from("none")),
    ] {
        let mut wire = good.clone();
        *wire.pointer_mut(pointer).unwrap() = bad;
        assert!(!validator.is_valid(&wire), "{pointer}");
        assert!(
            serde_json::from_value::<Envelope<ScheduleUpdated>>(wire).is_err(),
            "{pointer}"
        );
    }
}
