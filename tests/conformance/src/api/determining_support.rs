//! "Determining Support": `GET /v2/`.

use reqwest::Method;

use crate::{Check, Failure, Registry, auth::challenges, check::check};

const SECTION: &str = "Determining Support";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(
            Must,
            get_of_v2_must_be_200,
            "a GET of `/v2/` is answered with 200 by a registry that implements the specification"
        ),
        check!(
            Must,
            get_of_v2_without_login_must_be_200_or_401,
            "a GET of `/v2/` without credentials is answered with 200 or 401"
        ),
        check!(
            Expected,
            a_401_carries_a_challenge_that_clients_know,
            "a 401 names a Basic or Bearer challenge in WWW-Authenticate"
        ),
    ]
}

async fn get_of_v2_must_be_200(registry: Registry) -> Result<(), Failure> {
    registry
        .request(Method::GET, "/v2/")
        .send()
        .await?
        .expect(200)?;
    Ok(())
}

async fn get_of_v2_without_login_must_be_200_or_401(registry: Registry) -> Result<(), Failure> {
    let answer = registry
        .request(Method::GET, "/v2/")
        .anonymous()
        .send()
        .await?;
    answer.expect_any(&[200, 401])?;
    Ok(())
}

async fn a_401_carries_a_challenge_that_clients_know(registry: Registry) -> Result<(), Failure> {
    let v2 = registry
        .request(Method::GET, "/v2/")
        .anonymous()
        .send()
        .await?;
    let push = registry
        .repository()
        .post_upload()
        .anonymous()
        .send()
        .await?;
    for answer in [v2, push] {
        if answer.status() == 401 && challenges(answer.headers()).is_empty() {
            return Err(answer.violates("a Basic or Bearer challenge in `www-authenticate`"));
        }
    }
    Ok(())
}
