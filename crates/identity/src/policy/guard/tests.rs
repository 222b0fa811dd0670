//! What the guard lets through fits into the stacks that there are.

use super::*;
use crate::{
    Action, PolicyName,
    policy::{
        parse,
        pin::Pin,
        rules::{self, Rules, Said},
        schema, stack,
    },
};

/// The stack of a thread that decides: half of what a worker has.
const SMALL: usize = 1024 * 1024;

fn when(condition: &str) -> String {
    format!("permit (principal, action == Landfall::Action::\"pull\", resource) {condition};")
}

/// Something of a depth, for each way to be deep.
type Shape = fn(usize) -> String;

fn shapes() -> Vec<(&'static str, Shape)> {
    const A: &str = "resource.name == \"x/y\"";
    fn held(open: &str, middle: &str, close: &str, depth: usize) -> String {
        let (open, close) = (open.repeat(depth), close.repeat(depth));
        when(&format!("when {{ {open}{middle}{close} }}"))
    }
    vec![
        ("brackets", |n| held("(", A, ")", n)),
        ("else if", |n| {
            held(&format!("if {A} then true else "), "true", "", n)
        }),
        ("else if, after a bracket", |n| {
            held(&format!("if ({A})then(true)else "), "(true)", "", n)
        }),
        ("then if", |n| {
            held(&format!("if {A} then "), "true", " else false", n)
        }),
        ("if if", |n| held("if ", A, " then true else false", n)),
        ("&&", |n| held(&format!("{A} && "), A, "", n)),
        ("||", |n| held(&format!("{A} || "), A, "", n)),
        ("!", |n| held("!(", A, ")", n)),
        ("!!!!", |n| held("!!!!(", A, ")", n)),
        ("!=", |n| held("true != (", A, ")", n)),
        ("-", |n| {
            held("0 < 1 && 0 < -(", "1", ")", n.min(1))
                .replace("1)", &{ format!("{}1{})", "-(".repeat(n), ")".repeat(n)) })
        }),
        ("+", |n| held("1 + ", "1 < 5", "", n)),
        ("*", |n| held("1 * ", "1 > 5", "", n)),
        ("sets", |n| {
            let set = format!("{}1{}", "[".repeat(n), "]".repeat(n));
            held("", &format!("{set} == {set}"), "", 1)
        }),
        ("records", |n| {
            let record = format!("{}1{}", "{a: ".repeat(n), "}".repeat(n));
            held("", &format!("{record} == {record}"), "", 1)
        }),
        ("members", |n| {
            let record = format!("{}true{}", "{a: ".repeat(n), "}".repeat(n));
            held("", &format!("{record}{}", ".a".repeat(n)), "", 1)
        }),
        ("elements", |n| {
            let record = format!("{}true{}", "{\"a\": ".repeat(n), "}".repeat(n));
            held("", &format!("{record}{}", "[\"a\"]".repeat(n)), "", 1)
        }),
        ("has", |n| {
            let record = format!("{}true{}", "{a: ".repeat(n), "}".repeat(n));
            held("", &format!("{record} has a{}", ".a".repeat(n - 1)), "", 1)
        }),
        ("contains", |n| held("[true].contains(", A, ")", n)),
        ("contains after contains", |n| {
            held("", "[true]", ".contains(true) || [true]", n).replace("|| [true] }", "}")
        }),
        ("all", |n| {
            held(
                &format!("!(if {A} && [{A}].contains(true) then "),
                A,
                " else true)",
                n,
            )
        }),
        ("and or", |n| held(&format!("{A} && ({A} || "), A, ")", n)),
        ("when", |n| when(&format!("when {{ {A} }} ").repeat(n))),
        ("unless", |n| when(&format!("unless {{ {A} }} ").repeat(n))),
    ]
}

fn account() -> cedar_policy::EntityUid {
    schema::account_uid(landfall_ids::AccountId::new_at(1))
}

fn compiled(text: &str) -> Result<Rules, parse::PolicyErrors> {
    parse::check(text)?;
    let (pin, name) = (Pin::What(account()), PolicyName::new("x/p"));
    Ok(Rules::compile([(&name, Some(&pin), text)]))
}

fn decided(rules: &Rules) -> Said {
    for statement in rules.statements(Action::Pull) {
        assert!(!statement.to_string().is_empty());
    }
    let resource = schema::repository_uid(Some(landfall_ids::RepositoryId::new_at(2)));
    let context = cedar_policy::Context::empty();
    rules::decide([rules], Action::Pull, || {
        let who = schema::anonymous_uid();
        let entities = [
            cedar_policy::Entity::with_uid(who.clone()),
            schema::named(resource.clone(), "x/y", Some(&account()), [account()]),
            schema::named(account(), "x", None, []),
        ];
        rules::request(who, Action::Pull, resource.clone(), context, entities)
    })
}

fn on_a_stack<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(size);
    let working = thread.spawn(work).expect("a thread");
    working.join().expect("no panic")
}

#[test]
fn the_deepest_policies_that_are_accepted_fit_into_a_small_stack() {
    let mut wrong = Vec::new();
    for (shape, make) in shapes() {
        let accepted = (1..200).take_while(|depth| guard(&make(*depth)).is_ok());
        let depth = accepted.last().expect("one is not deep");
        assert!(depth < 199, "{shape} has no limit");
        let text = make(depth).replacen("permit", "forbid", 1);
        let asked = text.clone();
        match on_a_stack(stack::STACK / 2, move || compiled(&asked)) {
            Ok(rules) => {
                assert!(rules.broken().is_empty(), "{text}");
                let permits = make(depth);
                let permits = on_a_stack(stack::STACK / 2, move || compiled(&permits));
                let permits = permits.expect("as the forbid");
                // Both are dropped there as well.
                let said = on_a_stack(SMALL, move || (decided(&rules), decided(&permits)));
                // What fails forbids and does not permit.
                let agree = matches!(
                    said,
                    (Said::Forbidden(_), Said::Allowed(_)) | (Said::Nothing, Said::Nothing)
                );
                if !agree {
                    wrong.push(format!("{shape}: {said:?}\n{text}"));
                }
            }
            Err(error) => wrong.push(format!("{shape}: {error}\n{text}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is at the place of the mistake, if there is one.
fn refused(text: &str) -> Option<(usize, usize, String)> {
    let error = guard(text).err()?;
    Some((error.line, error.column, error.message))
}

#[test]
fn nothing_hides_behind_blanks_and_comments() {
    let deep = when(&format!("when {{ {}true }}", "(".repeat(2000)));
    for (text, line, column, says) in [
        (format!("// x\r{deep}"), 1, 5, "control character"),
        (format!("// x\u{b}{deep}"), 1, 5, "control character"),
        (format!("// x\n\r{deep}"), 2, 1, "control character"),
        (format!("// x\u{85}{deep}"), 1, 5, "control character"),
        (format!("\u{c}{deep}"), 1, 1, "control character"),
        (format!("\u{a0}{deep}"), 1, 1, "U+00A0"),
        (format!("\u{2028}{deep}"), 1, 1, "U+2028"),
        (
            "permit (principal, action, resource) when {)".to_owned(),
            1,
            44,
            "closes nothing",
        ),
    ] {
        let found = refused(&text);
        let right = found
            .as_ref()
            .is_some_and(|found| (found.0, found.1) == (line, column) && found.2.contains(says));
        assert!(right, "{text:.60?}: {found:?}");
    }
    // Comments and strings may have any letters, and lines end in two ways.
    for text in [
        "// \u{2028}ü\r\n\tpermit",
        "permit \"\u{a0} \\\" (((\" // ((((((",
    ] {
        assert_eq!(refused(text), None, "{text:?}");
    }
    // Words count behind whatever ends the last one.
    for open in ["(1)if ", "1if ", "\"\"if ", "/**/if ", "//\nif ", "\r\nif "] {
        let text = when(&format!("when {{ {} }}", open.repeat(60)));
        assert!(refused(&text).is_some(), "{open:?}");
    }
}

#[tokio::test]
async fn what_brackets_behind_a_comment_hold_does_not_end_the_process() {
    let text = format!(
        "// x\r{}",
        when(&format!("when {{ {}true }}", "(".repeat(9000)))
    );
    let checked = stack::deep(move || parse::check(&text)).await;
    assert!(checked.expect("no panic").is_err());
}
