//! Nobody gets in without the right: every route, every kind of credential.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use super::{
    World,
    routes::{ACCOUNT, CATALOG, PUBLIC, REPOSITORY, Route, of_distribution, of_document},
};
use crate::{server::Options, session::Image};

async fn all_routes(world: &World) -> Vec<Route> {
    let mut routes = of_distribution();
    routes.extend(of_document(world).await);
    routes
}

/// Sends a request of a route. What has a body gets one that does nothing, in
/// case somebody is let through: the repository is there, the rest is wrong.
async fn send(request: RequestBuilder, route: &Route) -> Response {
    let request = match route.method {
        Method::POST | Method::PUT | Method::PATCH => request
            .header("content-type", "application/json")
            .body(route.body),
        _ => request,
    };
    request.send().await.expect("answer")
}

/// Fails unless the answer refuses, in the form of its API, and tells nothing.
async fn assert_refused(answer: Response, route: &Route, who: &str) {
    let status = answer.status();
    let at = format!("{} {} by {who}", route.method, route.path);
    let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
    assert!(refused.contains(&status), "{at} is answered with {status}");
    let challenged = answer.headers().get("www-authenticate").cloned();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = challenged.unwrap_or_else(|| panic!("{at} is not challenged"));
        let challenge = challenge.to_str().expect("text").to_owned();
        assert!(
            challenge.starts_with("Bearer realm=\"http://"),
            "{at}: {challenge}"
        );
    }
    if route.method == Method::HEAD {
        return;
    }
    let body: Value = answer
        .json()
        .await
        .unwrap_or_else(|error| panic!("{at}: {error}"));
    if route.path.starts_with("/v2/") {
        let code = body["errors"][0]["code"].as_str();
        assert!(
            matches!(code, Some("UNAUTHORIZED" | "DENIED")),
            "{at}: {body}"
        );
    } else {
        assert_eq!(body["status"], status.as_u16(), "{at}: {body}");
    }
    assert!(!body.to_string().contains("sha256:"), "{at}: {body}");
}

/// A principal of an account that has nothing to do with the repository, and
/// its password.
const STRANGER: (&str, &str) = ("acme/bob", "a password of bob's");

async fn add_stranger(world: &World) {
    let account = serde_json::json!({ "name": ACCOUNT });
    let made = world.post("/api/v1/accounts", &account).await;
    assert_eq!(made.status(), StatusCode::CREATED, "the account");
    let (name, password) = STRANGER;
    let principal = serde_json::json!({ "name": name, "password": password });
    let made = world.post("/api/v1/principals", &principal).await;
    assert_eq!(made.status(), StatusCode::CREATED, "the principal");
}

#[tokio::test]
async fn no_route_answers_without_the_right() {
    let world = World::start();
    let image = Image::new(1, 2);
    world.session.push(REPOSITORY, "v1", &image).await;
    add_stranger(&world).await;
    let elsewhere = world
        .session
        .token(&["repository:admin/other:pull,push,delete"])
        .await;
    let routes = all_routes(&world).await;
    for route in &routes {
        let request = || world.session.anonymous(route.method.clone(), &route.path);
        assert_refused(send(request(), route).await, route, "nobody").await;
        let garbage = request().bearer_auth("eyJhbGciOiJub25lIn0.e30.");
        let who = "a token without a signature";
        assert_refused(send(garbage, route).await, route, who).await;
        if route.needs != "login" {
            let other = request().bearer_auth(&elsewhere);
            assert_refused(send(other, route).await, route, "a token for elsewhere").await;
        }
        if !["login", "whole", CATALOG].contains(&route.needs.as_str()) {
            let (name, password) = STRANGER;
            let stranger = request().basic_auth(name, Some(password));
            assert_refused(send(stranger, route).await, route, "another account's").await;
        }
    }
    world.session.assert_pulls(REPOSITORY, "v1", &image).await;
}

/// Wrong passwords, up to where they are not looked at any more.
#[tokio::test]
async fn a_wrong_password_opens_no_route() {
    let world = World::start();
    for (number, route) in all_routes(&world).await.iter().enumerate() {
        // Each under a name of its own: too many under one are another answer.
        let nobody = format!("nobody-{number}");
        let wrong = world.session.anonymous(route.method.clone(), &route.path);
        let wrong = wrong.basic_auth(nobody, Some("wrong"));
        assert_refused(send(wrong, route).await, route, "a wrong password").await;
    }
}

#[tokio::test]
async fn a_token_that_has_ended_opens_no_route() {
    let options = Options::default().set("LANDFALL_TOKEN_LIFETIME", "1s");
    let world = World::start_with(&options);
    let routes = all_routes(&world).await;
    let scopes: Vec<&str> = routes
        .iter()
        .map(|route| route.needs.as_str())
        .filter(|needs| needs.contains(':'))
        .collect();
    let token = world.session.token(&scopes[..scopes.len().min(40)]).await;
    let good = || async {
        let asked = world.session.anonymous(Method::GET, "/v2/");
        let answer = asked.bearer_auth(&token).send().await.expect("answer");
        answer.status() == StatusCode::OK
    };
    let since = std::time::Instant::now();
    while good().await {
        assert!(since.elapsed().as_secs() < 30, "the token does not end");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for route in &routes {
        let ended = world.session.anonymous(route.method.clone(), &route.path);
        let answer = send(ended.bearer_auth(&token), route).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{}", route.path);
        assert_refused(answer, route, "a token that has ended").await;
    }
}

#[tokio::test]
async fn a_token_is_good_for_the_actions_of_its_scope_and_for_no_others() {
    let world = World::start();
    let image = Image::new(1, 2);
    world.session.push(REPOSITORY, "v1", &image).await;
    add_stranger(&world).await;
    let routes = all_routes(&world).await;
    let mut scopes: Vec<&str> = routes.iter().map(|route| route.needs.as_str()).collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes.retain(|scope| scope.contains(':'));
    scopes.push("");
    // A name that begins like the one of the token is another name.
    scopes.push("repository:admin/we:pull,push,delete");
    for scope in scopes {
        let token = world.session.token(&[scope]).await;
        for route in &routes {
            // A scope may stand for all that can be done to an account.
            let all_of = scope
                .strip_suffix('*')
                .is_some_and(|of| of.starts_with("account:") && route.needs.starts_with(of));
            if route.needs == scope || route.needs == "login" || all_of {
                continue;
            }
            let who = format!("a token for `{scope}`");
            let request = world.session.anonymous(route.method.clone(), &route.path);
            let answer = send(request.bearer_auth(&token), route).await;
            assert_refused(answer, route, &who).await;
        }
    }
    world.session.assert_pulls(REPOSITORY, "v1", &image).await;
}

/// The other side: each route lets through who has the right.
#[tokio::test]
async fn every_route_lets_its_own_token_through() {
    let world = World::start();
    add_stranger(&world).await;
    for route in all_routes(&world).await {
        let request = match route.needs.as_str() {
            "whole" => world.session.request(route.method.clone(), &route.path),
            scope => {
                let scope = if scope == "login" { "" } else { scope };
                let token = world.session.token(&[scope]).await;
                let request = world.session.anonymous(route.method.clone(), &route.path);
                request.bearer_auth(token)
            }
        };
        let answer = send(request, &route).await;
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        let (status, at) = (answer.status(), format!("{} {}", route.method, route.path));
        assert!(!refused.contains(&status), "{at} is answered with {status}");
        assert!(!status.is_server_error(), "{at} is answered with {status}");
    }
}

#[tokio::test]
async fn what_is_public_answers_everybody() {
    let world = World::start();
    for (method, path) in PUBLIC {
        let method: Method = method.parse().expect("a method");
        let answer = world
            .session
            .anonymous(method, path)
            .send()
            .await
            .expect("answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
    }
    let wrong = world
        .session
        .anonymous(Method::GET, "/token")
        .basic_auth("admin", Some("wrong"));
    let refused = wrong.send().await.expect("answer");
    assert_eq!(
        refused.status(),
        StatusCode::UNAUTHORIZED,
        "a wrong password gets a token"
    );
}

#[tokio::test]
async fn with_anonymous_pull_exactly_the_reads_of_repositories_are_open() {
    let options = Options::default().set("LANDFALL_REGISTRY_ANONYMOUS_PULL", "1");
    let world = World::start_with(&options);
    let image = Image::new(1, 2);
    world.session.push(REPOSITORY, "v1", &image).await;
    for route in all_routes(&world).await {
        let request = world.session.anonymous(route.method.clone(), &route.path);
        let answer = send(request, &route).await;
        let refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN];
        let open = !refused.contains(&answer.status());
        let expected = route.needs == CATALOG || route.needs.ends_with(":pull");
        assert_eq!(
            open,
            expected,
            "{} {}: {}",
            route.method,
            route.path,
            answer.status()
        );
    }
    world.session.assert_pulls(REPOSITORY, "v1", &image).await;
}

/// What is refused looks the same whether it is there or not.
#[tokio::test]
async fn a_refusal_does_not_tell_what_exists() {
    let world = World::start();
    world
        .session
        .push(REPOSITORY, "v1", &Image::new(1, 2))
        .await;
    let mut answers = Vec::new();
    for (name, tag) in [
        ("admin/web", "v1"),
        ("admin/web", "v2"),
        ("admin/wob", "v1"),
    ] {
        for path in [
            format!("/v2/{name}/manifests/{tag}"),
            format!("/v2/{name}/tags/list"),
            format!(
                "/api/v1/repositories/{}/images/{tag}",
                name.replace('/', "%2F")
            ),
        ] {
            let answer = world
                .session
                .anonymous(Method::GET, &path)
                .send()
                .await
                .expect("answer");
            let challenge = answer.headers()["www-authenticate"].to_str().expect("text");
            let challenge = challenge.replace(name, "NAME");
            let status = answer.status();
            let body = answer.text().await.expect("a body").replace(name, "NAME");
            answers.push((status, challenge, body));
        }
    }
    let (first, others) = answers.split_at(3);
    for other in others.chunks(3) {
        assert_eq!(other, first);
    }
}

/// Who has a name hears that it may not, whether it is there or not.
#[tokio::test]
async fn a_stranger_does_not_learn_what_exists() {
    let world = World::start();
    world
        .session
        .push(REPOSITORY, "v1", &Image::new(1, 2))
        .await;
    add_stranger(&world).await;
    let mut answers = Vec::new();
    for name in ["admin/web", "admin/wob", "nowhere/web"] {
        for (method, path) in [
            (Method::GET, format!("/v2/{name}/manifests/v1")),
            (Method::DELETE, format!("/v2/{name}/manifests/v1")),
            (Method::POST, format!("/v2/{name}/blobs/uploads/")),
            (
                Method::GET,
                format!("/api/v1/repositories/{}", name.replace('/', "%2F")),
            ),
        ] {
            let (user, password) = STRANGER;
            let request = world.session.anonymous(method, &path);
            let answer = request.basic_auth(user, Some(password)).send().await;
            let answer = answer.expect("answer");
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{path}");
            let mut headers = answer.headers().clone();
            headers.remove("x-request-id");
            headers.remove("date");
            answers.push((headers, answer.text().await.expect("a body")));
        }
    }
    let (first, others) = answers.split_at(4);
    for other in others.chunks(4) {
        assert_eq!(other, first);
    }
}

#[tokio::test]
async fn a_client_whose_token_is_no_good_knows_what_to_ask_for() {
    let world = World::start();
    for (method, path, scope) in [
        (
            Method::GET,
            "/v2/acme/web/manifests/v1",
            "repository:acme/web:pull",
        ),
        (
            Method::PUT,
            "/v2/acme/web/manifests/v1",
            "repository:acme/web:pull,push",
        ),
        (
            Method::DELETE,
            "/v2/acme/web/manifests/v1",
            "repository:acme/web:delete",
        ),
        (
            Method::POST,
            "/v2/acme/web/blobs/uploads/",
            "repository:acme/web:pull,push",
        ),
        (Method::GET, "/v2/_catalog", "registry:catalog:*"),
    ] {
        let request = world
            .session
            .anonymous(method, path)
            .bearer_auth("an.ended.token");
        let answer = request.send().await.expect("answer");
        assert_eq!(answer.status(), 401, "{path}");
        let challenge = answer.headers()["www-authenticate"].to_str().expect("text");
        assert!(
            challenge.contains(&format!("scope=\"{scope}\"")),
            "{challenge}"
        );
        assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
    }
}
