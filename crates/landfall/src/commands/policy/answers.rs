//! What the server has decided, in words.

use serde_json::Value;

use crate::{cli::Asked, output::text};

/// Whether it may, and why, in one sentence.
pub(super) fn sentence(asked: &Asked, answer: &Value) -> String {
    let may = match answer["allowed"].as_bool() {
        Some(true) => "may",
        _ => "may not",
    };
    let (who, action) = (&asked.principal, &asked.action);
    let what = asked.resource.as_deref().unwrap_or("the registry");
    let reason = text(answer, "reason");
    let because = match (policies(answer).len(), reason.as_str()) {
        (_, reason) if !reason.is_empty() => format!(": {reason}"),
        (0, _) => String::new(),
        (1, _) => ", by this policy:".to_owned(),
        _ => ", by these policies:".to_owned(),
    };
    format!("{who} {may} {action} {what}{because}")
}

/// The policies that say so.
pub(super) fn policies(answer: &Value) -> Vec<&str> {
    let policies = answer["policies"].as_array().into_iter().flatten();
    policies.filter_map(Value::as_str).collect()
}
