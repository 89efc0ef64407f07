//! Descriptions of the contract, generated from its types: JSON Schema and AsyncAPI.
//!
//! The committed copies are `schemas/*.json` and `asyncapi.yaml`; a test keeps them equal to what
//! this module says.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::envelope::{CONTENT_TYPE, Envelope};
use crate::event::{AvailabilityUpdated, IntegrationEvent, ScheduleUpdated};
use crate::topology;

/// Where OpenAPI and AsyncAPI keep named schemas.
const COMPONENTS: &str = "#/components/schemas/";

/// The JSON Schema (2020-12) of a message body that holds `E`, complete in one document.
#[must_use]
pub fn json_schema<E: IntegrationEvent + ToSchema>() -> Value {
    let mut schema = envelope_schema::<E>();
    let definitions: BTreeMap<String, Value> = components::<E>();
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["$id"] = json!(format!("urn:rosterwire:schema:{}", E::TYPE));
    schema["title"] = json!(E::TYPE);
    schema["$defs"] = json!(definitions);
    refer_to(&mut schema, "#/$defs/");
    schema
}

/// The AsyncAPI 3.0 description of the exchange.
#[must_use]
pub fn asyncapi() -> Value {
    let mut schemas = components::<ScheduleUpdated>();
    schemas.extend(components::<AvailabilityUpdated>());
    schemas.insert(
        "ScheduleUpdatedMessage".into(),
        envelope_schema::<ScheduleUpdated>(),
    );
    schemas.insert(
        "AvailabilityUpdatedMessage".into(),
        envelope_schema::<AvailabilityUpdated>(),
    );
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rosterwire events",
            "version": "1.0.0",
            "description": "What a subscriber may rely on: at least once, never lost after the write \
                was answered. Two events of one contractor may arrive out of order or twice, and \
                `version` settles it: keep the highest. New fields may appear; a change of meaning \
                is a new version in the type and in the routing key."
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {
            "scheduleUpdated": channel(
                "schedule.updated.v1.{territory}",
                "ScheduleUpdated",
                "Once per committed change of a contractor's schedule.",
            ),
            "availabilityUpdated": channel(
                "availability.updated.v1.{territory}",
                "AvailabilityUpdated",
                "After the read side holds the new version.",
            ),
        },
        "operations": {
            "publishScheduleUpdated": operation("send", "scheduleUpdated", "ScheduleUpdated"),
            "publishAvailabilityUpdated":
                operation("send", "availabilityUpdated", "AvailabilityUpdated"),
        },
        "components": {
            "schemas": schemas,
            "messages": {
                "ScheduleUpdated": message::<ScheduleUpdated>("ScheduleUpdated"),
                "AvailabilityUpdated": message::<AvailabilityUpdated>("AvailabilityUpdated"),
            },
            "parameters": {
                "territory": {
                    "description": "The territory's slug, `[a-z0-9-]{1,64}`."
                }
            }
        }
    })
}

fn channel(address: &str, message: &str, description: &str) -> Value {
    json!({
        "address": address,
        "description": description,
        "parameters": {"territory": {"$ref": "#/components/parameters/territory"}},
        "messages": {message: {"$ref": format!("#/components/messages/{message}")}},
        "bindings": {"amqp": {
            "is": "routingKey",
            "exchange": {"name": topology::EXCHANGE, "type": "topic", "durable": true, "autoDelete": false}
        }}
    })
}

fn operation(action: &str, channel: &str, message: &str) -> Value {
    json!({
        "action": action,
        "channel": {"$ref": format!("#/channels/{channel}")},
        "messages": [{"$ref": format!("#/channels/{channel}/messages/{message}")}],
        "bindings": {"amqp": {"deliveryMode": 2, "mandatory": true, "timestamp": true}}
    })
}

fn message<E: IntegrationEvent>(name: &str) -> Value {
    json!({
        "name": E::TYPE,
        "contentType": CONTENT_TYPE,
        "headers": {
            "type": "object",
            "properties": {
                "traceparent": {"type": "string", "description": "W3C trace context of the request that caused it."},
                "tracestate": {"type": "string"}
            }
        },
        "payload": {"$ref": format!("{COMPONENTS}{name}Message")},
        "bindings": {"amqp": {"messageType": E::TYPE}}
    })
}

fn envelope_schema<E: IntegrationEvent + ToSchema>() -> Value {
    let mut schema = json!(Envelope::<E>::schema());
    schema["properties"]["type"]["const"] = json!(E::TYPE);
    schema["properties"]["data"] = json!({"$ref": format!("{COMPONENTS}{}", E::name())});
    schema
}

/// Every named schema that `E` needs, and `E`'s own.
fn components<E: ToSchema>() -> BTreeMap<String, Value> {
    let mut named = vec![(E::name().into_owned(), E::schema())];
    E::schemas(&mut named);
    named
        .into_iter()
        .map(|(name, schema)| (name, json!(schema)))
        .collect()
}

/// Points every reference below `value` to where this document keeps its schemas.
fn refer_to(value: &mut Value, place: &str) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if name == "$ref"
                    && let Some(target) = member.as_str().and_then(|r| r.strip_prefix(COMPONENTS))
                {
                    *member = json!(format!("{place}{target}"));
                } else {
                    refer_to(member, place);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| refer_to(item, place)),
        _ => {}
    }
}
