//! Makes the world, over the API: what is measured is what users have.

use std::{net::SocketAddr, thread};

use serde_json::{Value, json};

use super::{GROUPS, Keys, TAG, repository};
use crate::{Error, Result, images::Image, wire::Connection};

/// Connections at the same time.
const CLIENTS: usize = 16;
const JSON: Option<&str> = Some("application/json");

/// How large the world is.
#[derive(Debug, Clone)]
pub struct Prepare {
    /// The server.
    pub server: SocketAddr,
    /// The operator's `Authorization`.
    pub authorization: Option<String>,
    /// Robots with a key each.
    pub principals: usize,
    /// Repositories.
    pub repositories: usize,
    /// How many of them, from the first, hold an image.
    pub images: usize,
    /// Whether each has a policy.
    pub policies: bool,
}

/// Makes it, and answers the robots' keys.
pub fn prepare(options: &Prepare) -> Result<Keys> {
    let mut operator = open(options)?;
    post(
        &mut operator,
        "/api/v1/accounts",
        &json!({ "name": "bench" }),
    )?;
    post(
        &mut operator,
        "/api/v1/accounts",
        &json!({ "name": "fleet" }),
    )?;
    let groups = if options.principals == 0 { 0 } else { GROUPS };
    let groups: Vec<String> = (0..groups)
        .map(|number| {
            let body = json!({ "name": format!("fleet/g{number}") });
            let group = post(&mut operator, "/api/v1/groups", &body)?;
            text(&group, "id", "POST /api/v1/groups")
        })
        .collect::<Result<_>>()?;
    each(options, options.repositories, |connection, number| {
        let name = repository(number);
        if number < options.images {
            Image::new(super::ask::SEED).push(connection, &name, TAG)?;
        } else {
            post(connection, "/api/v1/repositories", &json!({ "name": name }))?;
        }
        if let (true, Some(group)) = (options.policies, groups.get(number % GROUPS)) {
            let body = json!({
                "name": format!("bench/share-{number}"),
                "target": { "kind": "repository", "name": name },
                "text": format!(
                    "permit (principal in Landfall::Group::\"{group}\", \
                     action == Landfall::Action::\"pull\", resource);"
                ),
            });
            post(connection, "/api/v1/policies", &body)?;
        }
        Ok(String::new())
    })?;
    let keys = each(options, options.principals, |connection, number| {
        let robot = format!("fleet/p{number}");
        let body = json!({ "name": robot, "kind": "robot" });
        post(connection, "/api/v1/principals", &body)?;
        let segment = format!("fleet%2Fp{number}");
        let path = format!(
            "/api/v1/groups/fleet%2Fg{}/members/{segment}",
            number % GROUPS
        );
        connection.expect(("PUT", &path), None, b"", &[200, 201, 204])?;
        let path = format!("/api/v1/principals/{segment}/api-keys");
        let made = post(connection, &path, &json!({ "description": "bench" }))?;
        text(&made, "key", &path)
    })?;
    Ok(Keys { keys })
}

fn open(options: &Prepare) -> Result<Connection> {
    Connection::open(options.server, options.authorization.clone())
}

fn post(connection: &mut Connection, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let answer = connection.expect(("POST", path), JSON, body.as_bytes(), &[200, 201])?;
    Ok(serde_json::from_slice(&answer.body).unwrap_or_default())
}

fn text(answer: &Value, field: &str, request: &str) -> Result<String> {
    let found = answer[field].as_str().map(str::to_owned);
    found.ok_or_else(|| Error::Wrong {
        request: request.to_owned(),
        why: format!("it has no `{field}`"),
    })
}

/// Makes so many things on several connections; what came of each, in order.
fn each(
    options: &Prepare,
    count: usize,
    make: impl Fn(&mut Connection, usize) -> Result<String> + Sync,
) -> Result<Vec<String>> {
    let make = &make;
    let parts = thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || -> Result<Vec<(usize, String)>> {
                    let mut connection = open(options)?;
                    let mine = (client..count).step_by(CLIENTS);
                    mine.map(|number| Ok((number, make(&mut connection, number)?)))
                        .collect()
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err(Error::Usage("a client panicked".to_owned())))
        });
        joined.collect::<Result<Vec<_>>>()
    })?;
    let mut all: Vec<_> = parts.into_iter().flatten().collect();
    all.sort_unstable();
    Ok(all.into_iter().map(|(_, text)| text).collect())
}
