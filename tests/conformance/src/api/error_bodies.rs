//! "Error Codes": the shape of an error in JSON.

use reqwest::Method;
use serde_json::Value;

use crate::{
    Check, Failure, Registry,
    answer::Answer,
    check::check,
    fixture::{Document, OCI_IMAGE, missing_digest},
};

const SECTION: &str = "Error Codes";

/// The codes in the table of the specification.
const CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

/// "Legacy Docker support error codes": optional, and known to clients.
const LEGACY: [&str; 2] = ["TAG_INVALID", "MANIFEST_UNVERIFIED"];

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            a_json_body_must_have_a_list_of_errors,
            "the body of a 4xx in JSON is an object with a list `errors` of objects with a `code`"
        ),
        check!(
            Must,
            codes_must_be_upper_case_words,
            "an error code has only upper-case letters and underscores"
        ),
        check!(
            Must,
            codes_must_be_those_of_the_specification,
            "an error code is one of those in the table of the specification"
        ),
        check!(
            Should,
            messages_should_be_text,
            "the message of an error, if it is there, is a string for people"
        ),
        check!(
            Expected,
            errors_come_as_json,
            "clients show a message to their users, so errors come in JSON and say so"
        ),
    ]
}

/// One refusal of each kind.
async fn refusals(registry: &Registry) -> Result<Vec<Answer>, Failure> {
    let repository = registry.repository().populated().await?;
    let upload = repository.start_upload().await?;
    upload.cancel().send().await?;
    let wrong = repository
        .start_upload()
        .await?
        .put(&missing_digest(), "bytes".into());
    let requests = [
        repository.manifest(Method::GET, "absent"),
        repository.manifest(Method::GET, &missing_digest()),
        repository.blob(Method::GET, &missing_digest()),
        repository.blob(Method::GET, "sha256:short"),
        repository.put_manifest("bad", &Document::raw(OCI_IMAGE, "no json")),
        upload.status(),
        wrong,
        registry.repository().get("tags/list"),
        registry.repository_below("UPPER").post_upload(),
    ];
    let mut answers = Vec::new();
    for request in requests {
        let answer = request.send().await?;
        answer.expect_refusal()?;
        answers.push(answer);
    }
    Ok(answers)
}

/// The refusals whose body is JSON by its type.
async fn in_json(registry: &Registry) -> Result<Vec<Answer>, Failure> {
    let is_json = |answer: &Answer| {
        answer
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/json"))
    };
    Ok(refusals(registry)
        .await?
        .into_iter()
        .filter(is_json)
        .collect())
}

fn errors_of(answer: &Answer) -> Result<Vec<Value>, Failure> {
    let errors = answer.json()?["errors"].as_array().cloned();
    errors.ok_or_else(|| answer.violates("a list `errors` in the body"))
}

async fn a_json_body_must_have_a_list_of_errors(registry: Registry) -> Result<(), Failure> {
    for answer in in_json(&registry).await? {
        let errors = errors_of(&answer)?;
        if errors.is_empty() || !errors.iter().all(|error| error["code"].is_string()) {
            return Err(answer.violates("a list `errors` of objects with a `code`"));
        }
    }
    Ok(())
}

async fn codes_must_be_upper_case_words(registry: Registry) -> Result<(), Failure> {
    let is_word = |code: &String| {
        code.chars()
            .all(|mark| mark.is_ascii_uppercase() || mark == '_')
    };
    for answer in in_json(&registry).await? {
        if !answer.codes().iter().all(is_word) {
            return Err(answer.violates("a code of upper-case letters and underscores"));
        }
    }
    Ok(())
}

async fn codes_must_be_those_of_the_specification(registry: Registry) -> Result<(), Failure> {
    let is_known = |code: &String| CODES.iter().chain(&LEGACY).any(|known| known == code);
    for answer in in_json(&registry).await? {
        if !answer.codes().iter().all(is_known) {
            return Err(answer.violates("a code of the specification"));
        }
    }
    Ok(())
}

async fn messages_should_be_text(registry: Registry) -> Result<(), Failure> {
    for answer in in_json(&registry).await? {
        for error in errors_of(&answer)? {
            if error
                .get("message")
                .is_some_and(|message| !message.is_string())
            {
                return Err(answer.violates("a `message` that is a string"));
            }
        }
    }
    Ok(())
}

async fn errors_come_as_json(registry: Registry) -> Result<(), Failure> {
    for answer in refusals(&registry).await? {
        if answer.codes().is_empty() {
            return Err(answer.violates("an error code in the body"));
        }
        if !answer
            .require("content-type")?
            .starts_with("application/json")
        {
            return Err(answer.violates("`content-type: application/json`"));
        }
    }
    Ok(())
}
