//! Many principals, many repositories, many policies: what who-are-you and
//! may-you cost.
//!
//! The world: repositories `bench/r0`, `bench/r1`, ..; robots `fleet/p0`,
//! `fleet/p1`, .. of another account, each with an API key, spread over 100
//! groups; and on each repository a policy that lets one group pull. So robot
//! and repository go together where their numbers are equal modulo 100, and
//! each decision has to find the one policy among thousands.

mod ask;
pub mod command;
mod leak;
mod prepare;
mod welch;

use serde::Serialize;

pub use ask::{Asked, Load, manifests, tokens, verify};
pub use leak::{Leak, LeakReport, leak};
pub use prepare::{Prepare, prepare};
pub use welch::{Sample, welch};

/// Groups of robots; each may pull from as large a share of the repositories.
const GROUPS: usize = 100;
/// The tag of every image.
const TAG: &str = "v1";
/// Scopes of one bearer token, at the most.
const SCOPES: usize = 10;

/// The API keys of the robots, by their numbers: what [`prepare`] answers, and
/// what loads are made with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Keys {
    /// One for each robot.
    pub keys: Vec<String>,
}

impl Keys {
    /// The header of a request by a robot.
    fn authorization(&self, robot: usize) -> Option<String> {
        self.keys.get(robot).map(|key| format!("Bearer {key}"))
    }
}

/// The name of a repository.
fn repository(number: usize) -> String {
    format!("bench/r{number}")
}

/// The numbers of the repositories that a robot may pull from, of so many.
fn repositories_of(robot: usize, repositories: usize) -> impl Iterator<Item = usize> {
    (robot % GROUPS..repositories).step_by(GROUPS)
}

/// The path of `/token` for the first scopes of a robot. Where robots share
/// repositories, each begins with another one.
fn token_path(robot: usize, repositories: usize) -> String {
    let scopes = repositories_of(robot, repositories).take(SCOPES);
    let scopes = scopes.map(|number| format!("&scope=repository:{}:pull", repository(number)));
    format!("/token?service=bench{}", scopes.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_robot_asks_for_repositories_of_its_group() {
        assert_eq!(
            repositories_of(101, 1000).take(2).collect::<Vec<_>>(),
            [1, 101]
        );
        assert_eq!(
            token_path(7, 120),
            "/token?service=bench&scope=repository:bench/r7:pull&scope=repository:bench/r107:pull"
        );
    }
}
