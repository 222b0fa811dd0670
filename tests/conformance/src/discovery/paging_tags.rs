//! "Listing Tags": parts of the list by `n`, `last` and `Link`.

use reqwest::Method;

use super::listing_tags::{tagged, tags_of};
use crate::{Check, Failure, Registry, answer::Answer, check::check, repository::Repository};

const SECTION: &str = "Listing Tags";

/// The tags of the repository that the checks page through, in order.
const TAGS: [&str; 7] = ["a", "b", "c", "d", "e", "f", "g"];

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            n_must_limit_the_list_from_its_beginning,
            "`n` gives the first `n` tags, fewer only with a Link"
        ),
        check!(
            Must,
            n_beyond_the_number_of_tags_must_give_all,
            "an `n` larger than the number of tags gives all of them, or a Link to the rest"
        ),
        check!(
            Must,
            n_of_zero_must_give_an_empty_list_without_link,
            "`n=0` gives an empty list, without a Link"
        ),
        check!(
            Must,
            last_must_not_be_part_of_the_list,
            "`last` with `n` gives the next `n` tags after the last one, which is not among them"
        ),
        check!(
            Must,
            last_must_work_without_n,
            "`last` without `n` gives all the tags after the last one"
        ),
        check!(
            Must,
            last_at_the_end_must_give_an_empty_list,
            "after the last of all tags comes nothing"
        ),
        check!(
            Expected,
            last_need_not_be_a_tag_that_is_there,
            "`last` may be a tag that is not there (any more): the list goes on behind its place"
        ),
        check!(
            Must,
            a_link_must_have_the_relation_next,
            "a Link header in a list of tags is as RFC 8288 has it, with `rel=\"next\"`"
        ),
        check!(
            Must,
            pages_together_must_be_the_whole_list,
            "page after page, by Link or else by `last`, each tag comes once, in order"
        ),
        check!(
            Expected,
            a_link_is_sent_when_there_is_more,
            "a list cut by `n` comes with a Link to what is left"
        ),
        check!(
            Expected,
            n_that_is_no_number_is_refused,
            "an `n` that is negative or no number is answered with 400"
        ),
    ]
}

async fn page(repository: &Repository, query: &str) -> Result<Answer, Failure> {
    repository.get(&format!("tags/list?{query}")).send().await
}

/// Holds if the tags in the answer are these, or a beginning of them with a
/// link to the rest.
fn expect_tags(answer: &Answer, wanted: &[&str]) -> Result<(), Failure> {
    let tags = tags_of(answer)?;
    let linked = answer.next_link()?.is_some();
    let begins =
        wanted.len() >= tags.len() && tags.iter().zip(wanted).all(|(tag, want)| tag == want);
    if begins && (tags.len() == wanted.len() || (linked && !tags.is_empty())) {
        return Ok(());
    }
    Err(answer.violates(format!("the tags {wanted:?} (they are {tags:?})")))
}

async fn n_must_limit_the_list_from_its_beginning(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    expect_tags(&page(&repository, "n=1").await?, &TAGS[..1])?;
    expect_tags(&page(&repository, "n=3").await?, &TAGS[..3])
}

async fn n_beyond_the_number_of_tags_must_give_all(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    for query in ["n=7", "n=100"] {
        let answer = page(&repository, query).await?;
        let mut tags = tags_of(&answer)?;
        tags.sort();
        if tags != TAGS && answer.next_link()?.is_none() {
            return Err(answer.violates(format!("the tags {TAGS:?}, or a `link` to the rest")));
        }
    }
    Ok(())
}

async fn n_of_zero_must_give_an_empty_list_without_link(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    let answer = page(&repository, "n=0").await?;
    if tags_of(&answer)?.is_empty() && answer.header("link").is_none() {
        return Ok(());
    }
    Err(answer.violates("an empty list, and no `link`"))
}

async fn last_must_not_be_part_of_the_list(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    expect_tags(&page(&repository, "n=2&last=b").await?, &TAGS[2..4])?;
    expect_tags(&page(&repository, "n=10&last=e").await?, &TAGS[5..])
}

async fn last_must_work_without_n(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    expect_tags(&page(&repository, "last=c").await?, &TAGS[3..])
}

async fn last_at_the_end_must_give_an_empty_list(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    expect_tags(&page(&repository, "n=2&last=g").await?, &[])
}

async fn last_need_not_be_a_tag_that_is_there(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    expect_tags(&page(&repository, "n=2&last=bb").await?, &TAGS[2..4])
}

async fn a_link_must_have_the_relation_next(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    for query in ["n=2", "n=7", "last=a&n=1"] {
        let answer = page(&repository, query).await?;
        answer.expect(200)?.next_link()?;
    }
    Ok(())
}

async fn pages_together_must_be_the_whole_list(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    let mut seen: Vec<String> = Vec::new();
    let mut answer = page(&repository, "n=2").await?;
    loop {
        let tags = tags_of(&answer)?;
        if tags.len() > 2 || seen.len() > TAGS.len() {
            return Err(answer.violates("pages of two tags that come to an end"));
        }
        let last = tags.last().cloned();
        seen.extend(tags);
        answer = match (answer.next_link()?, last) {
            (Some(next), _) => registry.request_url(Method::GET, next).send().await?,
            (None, Some(last)) => page(&repository, &format!("n=2&last={last}")).await?,
            (None, None) => break,
        };
    }
    if seen == TAGS {
        return Ok(());
    }
    Err(answer.violates(format!(
        "the tags {TAGS:?} over all pages (they are {seen:?})"
    )))
}

async fn a_link_is_sent_when_there_is_more(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    let more = page(&repository, "n=3").await?;
    more.expect(200)?.require("link")?;
    let all = page(&repository, "n=3&last=d").await?;
    match all.expect(200)?.header("link") {
        None => Ok(()),
        Some(_) => Err(all.violates("no `link` at the end of the list")),
    }
}

async fn n_that_is_no_number_is_refused(registry: Registry) -> Result<(), Failure> {
    let repository = tagged(&registry, &TAGS).await?;
    for query in ["n=-1", "n=many", "n=1.5"] {
        page(&repository, query).await?.expect(400)?;
    }
    Ok(())
}
