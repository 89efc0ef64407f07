//! What the services say of their interfaces can be read by programs.

use serde_json::Value;

#[test]
fn every_reference_of_a_description_leads_somewhere() {
    for service in ["schedule-service", "availability-worker", "notifier"] {
        let path = format!(
            "{}/../../{service}/openapi.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).unwrap();
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_references(service, &document, &document);
    }
}

fn assert_references(service: &str, document: &Value, part: &Value) {
    if let Some(reference) = part["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            document.pointer(pointer).is_some(),
            "{service}: {reference}"
        );
    }
    match part {
        Value::Array(parts) => parts
            .iter()
            .for_each(|part| assert_references(service, document, part)),
        Value::Object(parts) => parts
            .values()
            .for_each(|part| assert_references(service, document, part)),
        _ => {}
    }
}
