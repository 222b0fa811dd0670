//! "Warnings": the `Warning` header.

use reqwest::Method;

use crate::{Check, Failure, Registry, answer::Answer, check::check, fixture::Image};

const SECTION: &str = "Warnings";

/// Most bytes of warnings in one answer.
const MOST: usize = 4096;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            a_warning_must_have_code_299_and_no_agent_and_no_date,
            "a Warning header is `299 - \"text\"`, without a date"
        ),
        check!(
            Must,
            warnings_must_not_exceed_4096_bytes,
            "all Warning headers of an answer together have at most 4096 bytes"
        ),
    ]
}

/// One answer of each kind that may carry a warning.
async fn answers(registry: &Registry) -> Result<Vec<Answer>, Failure> {
    let repository = registry.repository();
    let image = Image::new();
    repository.push_blobs(&image).await?;
    let push = repository
        .push_manifest("latest", &image.document())
        .await?;
    let mut answers = vec![push];
    for request in [
        registry.request(Method::GET, "/v2/"),
        repository.manifest(Method::GET, "latest"),
        repository.blob(Method::GET, &image.blobs[0].digest),
        repository.get("tags/list"),
    ] {
        let answer = request.send().await?;
        answer.expect(200)?;
        answers.push(answer);
    }
    Ok(answers)
}

fn warnings(answer: &Answer) -> impl Iterator<Item = &str> {
    answer
        .headers()
        .get_all("warning")
        .iter()
        .map(|value| value.to_str().unwrap_or_default())
}

async fn a_warning_must_have_code_299_and_no_agent_and_no_date(
    registry: Registry,
) -> Result<(), Failure> {
    for answer in answers(&registry).await? {
        if !warnings(&answer).all(|text| text.starts_with("299 - \"") && text.ends_with('"')) {
            return Err(answer.violates("`warning` in the form `299 - \"text\"`"));
        }
    }
    Ok(())
}

async fn warnings_must_not_exceed_4096_bytes(registry: Registry) -> Result<(), Failure> {
    for answer in answers(&registry).await? {
        if warnings(&answer).map(str::len).sum::<usize>() > MOST {
            return Err(answer.violates("at most 4096 bytes of warnings"));
        }
    }
    Ok(())
}
