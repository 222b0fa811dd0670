//! Events as `CloudEvents` 1.0, in the structured JSON form.

use landfall_database::outbox::Event;
use serde_json::{Map, Value, json};

/// The `Content-Type` of the form.
pub const CONTENT_TYPE: &str = "application/cloudevents+json";

/// What our kinds begin with in a `type`.
const PREFIX: &str = "landfall.";

/// Renders an event. `source` is a URI that names this registry. The place in
/// the log is the attribute `sequence` (an extension of the specification's
/// own), `account` and `actor` are ours.
pub(crate) fn render(event: &Event, source: &str) -> Vec<u8> {
    let mut attributes = Map::new();
    let mut set = |name: &str, value: Value| attributes.insert(name.to_owned(), value);
    set("specversion", json!("1.0"));
    set("id", json!(event.id));
    set("source", json!(source));
    set("type", json!(format!("{PREFIX}{}", event.kind)));
    set("subject", json!(event.subject));
    set("time", json!(event.created));
    set("sequence", json!(format!("{:020}", event.position)));
    set("account", json!(event.account));
    if let Some(actor) = &event.actor {
        set("actor", json!(actor));
    }
    set("datacontenttype", json!("application/json"));
    set("data", data(event));
    serde_json::to_vec(&attributes).unwrap_or_default()
}

/// What else there is to know of an event. A text that is no JSON was not
/// written by Landfall; it is passed on as a text.
pub fn data(event: &Event) -> Value {
    serde_json::from_str(&event.data).unwrap_or_else(|_| json!(event.data))
}

#[cfg(test)]
mod tests {
    use landfall_clock::Timestamp;
    use landfall_ids::{AccountId, EventId};

    use super::*;

    #[test]
    fn an_event_has_the_attributes_that_the_specification_requires() {
        let event = Event {
            position: 42,
            id: EventId::new_at(1),
            kind: "tag.moved".to_owned(),
            account: AccountId::new_at(2),
            subject: "acme/web".to_owned(),
            actor: None,
            data: r#"{"tag":"latest"}"#.to_owned(),
            created: Timestamp::from_unix_micros(1_795_530_000_000_001),
        };
        let rendered: Value = serde_json::from_slice(&render(&event, "urn:x")).expect("JSON");
        assert_eq!(
            rendered,
            json!({
                "specversion": "1.0",
                "id": event.id.to_string(),
                "source": "urn:x",
                "type": "landfall.tag.moved",
                "subject": "acme/web",
                "time": "2026-11-24T14:20:00.000001Z",
                "sequence": "00000000000000000042",
                "account": event.account.to_string(),
                "datacontenttype": "application/json",
                "data": { "tag": "latest" },
            })
        );
    }
}
