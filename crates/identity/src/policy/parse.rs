//! From the text of a policy to statements, and from mistakes to places in it.

use std::fmt;

use cedar_policy::{Policy as Statement, PolicySet, ValidationMode, Validator};
use miette::Diagnostic;

use super::{guard::guard, rules, schema::SCHEMA};

/// The longest text of a policy, in bytes.
pub const LONGEST_POLICY: usize = 32 * 1024;
/// The most statements of one policy.
pub const MOST_STATEMENTS: usize = 50;
/// How far a policy may follow attributes from the request:
/// `resource.account.name` is two steps. Farther than what is loaded for a
/// decision, it would find nothing.
const STEPS: u32 = 2;
/// The most mistakes that are told at once.
const MOST_MISTAKES: usize = 20;

/// A mistake in the text of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// All that is wrong with the text of a policy; at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors(pub Vec<PolicyError>);

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the policy can't be used: ")?;
        for (number, error) in self.0.iter().enumerate() {
            let between = if number == 0 { "" } else { "; " };
            write!(f, "{between}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyErrors {}

/// The statements of a policy in their order, if it can be read. Whether the
/// schema knows what they speak of was asked when it was stored.
pub(super) fn read(text: &str) -> Result<Vec<Statement>, PolicyErrors> {
    Ok(in_order(&set(text)?))
}

/// Checks a policy, whole: up to a decision by it, so that what can't be
/// loaded can't be saved.
pub(crate) fn check(text: &str) -> Result<(), PolicyErrors> {
    let set = set(text)?;
    let validator = Validator::new(SCHEMA.clone());
    let result = validator.validate_with_level(&set, ValidationMode::Strict, STEPS);
    let mut wrong: Vec<PolicyError> = result
        .validation_errors()
        .map(|error| told(text, error))
        .collect();
    if wrong.is_empty() {
        // Only then: a mistake makes impossible as well.
        wrong = never_applies(text, &result).collect();
    }
    if wrong.is_empty() {
        wrong = nameless(text, &set);
    }
    if wrong.is_empty() && !rules::can_be_used(text) {
        let message = "the policy can't be compiled".to_owned();
        wrong = vec![at(
            text,
            0,
            message,
            Some("write it more simply".to_owned()),
        )];
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(PolicyErrors(sorted(wrong)))
}

fn set(text: &str) -> Result<PolicySet, PolicyErrors> {
    guard(text).map_err(|error| PolicyErrors(vec![error]))?;
    let set: PolicySet = text
        .parse()
        .map_err(|errors: cedar_policy::ParseErrors| mistakes(text, errors.iter()))?;
    let refused = |offset, message: String, hint: &str| {
        let error = at(text, offset, message, Some(hint.to_owned()));
        Err(PolicyErrors(vec![error]))
    };
    if set.templates().next().is_some() {
        let offset = text.find('?').unwrap_or(0);
        let message = "a policy has no slots such as `?principal`".to_owned();
        return refused(
            offset,
            message,
            "attach it to whom or what it is for, and leave the slot out",
        );
    }
    match set.policies().count() {
        0 => refused(
            0,
            "the policy says nothing".to_owned(),
            "write at least one `permit(..);` or `forbid(..);`",
        ),
        count if count > MOST_STATEMENTS => refused(
            0,
            format!("a policy has at most {MOST_STATEMENTS} statements, not {count}"),
            "make several policies of it",
        ),
        _ => Ok(set),
    }
}

/// The statements in the order of the text.
fn in_order(set: &PolicySet) -> Vec<Statement> {
    let mut statements: Vec<Statement> = set.policies().cloned().collect();
    // The parser numbers them: `policy0`, `policy1`.
    statements.sort_by_key(number);
    statements
}

fn number(statement: &Statement) -> usize {
    let id = statement.id().to_string();
    id.trim_start_matches("policy")
        .parse()
        .unwrap_or(usize::MAX)
}

/// A statement that can apply to no request is a mistake: what somebody
/// meant to forbid would be allowed.
fn never_applies<'a>(
    text: &'a str,
    result: &'a cedar_policy::ValidationResult,
) -> impl Iterator<Item = PolicyError> + 'a {
    result
        .validation_warnings()
        .filter(|warning| {
            matches!(
                warning,
                cedar_policy::ValidationWarning::ImpossiblePolicy(_)
            )
        })
        .map(|warning| told(text, warning))
}

/// Entities are named by identifiers; a name in their place would never match.
fn nameless(text: &str, set: &PolicySet) -> Vec<PolicyError> {
    let literals = set.policies().flat_map(Statement::entity_literals);
    literals
        .filter(|uid| {
            !matches!(
                uid.type_name().basename(),
                "Action" | "Anonymous" | "Registry"
            )
        })
        .filter(|uid| {
            uid.id()
                .unescaped()
                .parse::<landfall_ids::AccountId>()
                .is_err()
        })
        .map(|uid| {
            let id = uid.id().unescaped();
            let kind = uid.type_name().basename().to_lowercase();
            let offset = text.find(&format!("\"{id}\"")).unwrap_or(0);
            let message = format!("`{id}` is no identifier of a {kind}");
            let hint = match kind.as_str() {
                "user" | "robot" | "host" | "worker" => "principal",
                kind => kind,
            };
            let hint = format!(
                "policies name by identifiers, which never change: `landfall {hint} show` tells it"
            );
            at(text, offset, message, Some(hint))
        })
        .collect()
}

fn mistakes<'a>(
    text: &str,
    errors: impl Iterator<Item = &'a (impl Diagnostic + 'a)>,
) -> PolicyErrors {
    PolicyErrors(sorted(errors.map(|error| told(text, error)).collect()))
}

fn sorted(mut errors: Vec<PolicyError>) -> Vec<PolicyError> {
    errors.sort_by_key(|error| (error.line, error.column));
    errors.dedup();
    errors.truncate(MOST_MISTAKES);
    errors
}

fn told(text: &str, error: &dyn Diagnostic) -> PolicyError {
    let label = error.labels().and_then(|mut labels| labels.next());
    let offset = label.as_ref().map_or(0, miette::LabeledSpan::offset);
    let message = plain(&error.to_string());
    let expected = label.and_then(|label| label.label().map(str::to_owned));
    let hint = error.help().map(|help| help.to_string()).or(expected);
    at(text, offset, message, hint)
}

/// The message without the number that the parser gave to the statement: the
/// line says where it is.
fn plain(message: &str) -> String {
    match message.strip_prefix("for policy `") {
        Some(rest) => match rest.split_once("`, ") {
            Some((_, rest)) => rest.to_owned(),
            None => message.to_owned(),
        },
        None => message.to_owned(),
    }
}

/// A mistake at a byte of the text.
pub(super) fn at(text: &str, offset: usize, message: String, hint: Option<String>) -> PolicyError {
    let before = &text[..floor(text, offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    PolicyError {
        line,
        column,
        message,
        hint,
    }
}

/// The start of the character at a byte.
fn floor(text: &str, offset: usize) -> usize {
    let offset = offset.min(text.len());
    (0..=offset)
        .rev()
        .find(|offset| text.is_char_boundary(*offset))
        .unwrap_or(0)
}
