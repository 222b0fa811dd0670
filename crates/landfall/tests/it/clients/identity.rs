//! People and robots of several accounts, with the clients that they use: each
//! kind of credential, a pull across accounts by a policy, a refusal, and where
//! it is told.

use std::{os::unix::fs::symlink, path::PathBuf, process::Command};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use super::{
    docker::Docker,
    layout::Layout,
    output_of,
    podman::{self, Podman},
    run, run_with,
    scratch::Scratch,
    tool,
};
use crate::{
    server::{Options, Server},
    session::{Session, segment},
};

const PASSWORD: &str = "a password of alice";

/// Two accounts on a server: `acme` with alice, who may push there, and `beta`
/// with a robot, who may do nothing yet.
struct Accounts {
    session: Session,
    server: Server,
    /// Name and secret of each kind of credential of alice.
    alice: Vec<(&'static str, String)>,
    /// The robot's API key.
    robot: String,
}

impl Accounts {
    async fn make(server: Server) -> Self {
        let session = Session::of(&server);
        let make = |path: &str, body: Value| {
            let request = session.request(Method::POST, &format!("/api/v1/{path}"));
            answer(request.json(&body))
        };
        for account in ["acme", "beta"] {
            make("accounts", json!({ "name": account })).await;
        }
        let alice = json!({ "name": "acme/alice", "kind": "user", "password": PASSWORD });
        make("principals", alice).await;
        make(
            "principals",
            json!({ "name": "beta/robot", "kind": "robot" }),
        )
        .await;
        let template = session.json("/api/v1/policy-templates").await;
        let templates = template["items"].as_array().expect("templates");
        let writer = templates.iter().find(|each| each["name"] == "writer");
        let policy = json!({
            "name": "acme/writers",
            "target": { "kind": "principal", "name": "acme/alice" },
            "text": writer.expect("a writer")["text"],
        });
        make("policies", policy).await;
        let key = |whose: &str| {
            let path = format!("principals/{}/api-keys", segment(whose));
            make(&path, json!({ "description": "a test" }))
        };
        let (of_alice, of_robot) = (key("acme/alice").await, key("beta/robot").await);
        let path = "/api/v1/authorization-tokens";
        let request = session.anonymous(Method::POST, path);
        let request = request.basic_auth("acme/alice", Some(PASSWORD));
        let token = answer(request.json(&json!({}))).await;
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        Self {
            alice: vec![
                ("acme/alice", PASSWORD.to_owned()),
                ("acme/alice", text(&of_alice["key"])),
                ("token", text(&token["token"])),
            ],
            robot: text(&of_robot["key"]),
            session,
            server,
        }
    }

    /// The credential that takes the place of a password after a login by
    /// OAuth: alice's authorization token.
    fn refresh_token(&self) -> &str {
        &self.alice[2].1
    }

    /// The file of a client that has saved it.
    fn saved_refresh_token(&self) -> String {
        let name = STANDARD.encode("token:");
        let login = json!({ "auth": name, "identitytoken": self.refresh_token() });
        json!({ "auths": { self.server.host(): login } }).to_string()
    }

    /// Lets the robot of beta pull `acme/web`.
    async fn share(&self) {
        let robot = self.session.json("/api/v1/principals/beta%2Frobot").await;
        let text = format!(
            "permit (principal == Landfall::Robot::{}, action in [Landfall::Action::\"read\"], \
             resource);",
            robot["id"]
        );
        let policy = json!({
            "name": "acme/share",
            "target": { "kind": "repository", "name": "acme/web" },
            "text": text,
        });
        let request = self.session.request(Method::POST, "/api/v1/policies");
        answer(request.json(&policy)).await;
    }

    /// The audit log says that the robot wanted to push `acme/web`, was
    /// refused, and why.
    async fn assert_refusal_is_told(&self) {
        let path = "/api/v1/audit?principal=beta%2Frobot&outcome=refused";
        let rows = self.session.json(path).await;
        let rows = rows["items"].as_array().expect("rows");
        let row = rows
            .iter()
            .find(|row| row["resource"]["name"] == "acme/web" && row["action"] == "push");
        let row = row.unwrap_or_else(|| panic!("no refused push in {rows:#?}"));
        assert!(
            row["reason"].as_str().is_some_and(|text| !text.is_empty()),
            "without a reason: {row:#}"
        );
        assert_eq!(row["principal"]["name"], "beta/robot");
        assert!(row["source"].as_str().is_some(), "{row:#}");
    }
}

/// What a request that succeeds answers.
async fn answer(request: RequestBuilder) -> Value {
    let answer = request.send().await.expect("answer");
    let (status, url) = (answer.status(), answer.url().clone());
    let told: Value = answer.json().await.unwrap_or_default();
    assert!(
        matches!(status, StatusCode::OK | StatusCode::CREATED),
        "{url}: {status} {told}"
    );
    told
}

/// The program of the credential helper, in a folder for `PATH`, and where it
/// keeps logins.
struct Helper {
    path: String,
    configuration: PathBuf,
}

impl Helper {
    fn install(scratch: &Scratch) -> Self {
        let folder = scratch.folder("bin");
        let program = env!("CARGO_BIN_EXE_landfall");
        symlink(program, folder.join("docker-credential-landfall")).expect("a link");
        let path = std::env::var("PATH").unwrap_or_default();
        Self {
            path: format!("{}:{path}", folder.display()),
            configuration: scratch.folder("configuration"),
        }
    }

    /// The environment that finds it.
    fn with<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("PATH", &self.path)
            .env("XDG_CONFIG_HOME", &self.configuration)
    }

    /// `landfall login` with a secret.
    fn log_in(&self, server: &Server, user: &str, secret: &str) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_landfall"));
        command.args(["login", "--password-stdin", "--user", user, &server.url]);
        command.env_remove("LANDFALL_PASSWORD");
        run_with(self.with(&mut command), secret);
    }

    fn kept(&self) -> String {
        let file = self.configuration.join("landfall/credentials.json");
        std::fs::read_to_string(file).expect("kept logins")
    }
}

impl Docker {
    fn login(&self, user: &str, secret: &str) {
        let words = ["login", "--username", user, "--password-stdin", &self.host];
        run_with(&mut self.command(&words), secret);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_gets_in_with_each_credential_and_across_accounts_by_a_policy() {
    let scratch = Scratch::new();
    let accounts = Accounts::make(scratch.serve(&Options::default())).await;
    let layout = Layout::make(&scratch, &[("one", "amd64", "hello, accounts")]);
    let docker = Docker::start(scratch, &accounts.server);
    let image = docker.image("acme/web:one");
    docker.load(&layout, "one", &image);
    for (user, secret) in &accounts.alice {
        docker.login(user, secret);
        docker.run(&["push", "--quiet", &image]);
        docker.run(&["logout", &docker.host]);
        assert!(
            docker.fails(&["push", "--quiet", &image]),
            "without a login"
        );
    }
    docker
        .scratch
        .write("client/config.json", &accounts.saved_refresh_token());
    docker.run(&["push", "--quiet", &image]);
    docker.run(&["logout", &docker.host]);

    docker.login("beta/robot", &accounts.robot);
    docker.run(&["rmi", "--force", &image]);
    assert!(
        docker.fails(&["pull", "--quiet", &image]),
        "without a policy"
    );
    accounts.share().await;
    docker.run(&["pull", "--quiet", &image]);
    let stolen = docker.image("acme/web:two");
    docker.run(&["tag", &image, &stolen]);
    assert!(
        docker.fails(&["push", "--quiet", &stolen]),
        "it may only read"
    );
    accounts.assert_refusal_is_told().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn docker_gets_its_logins_from_the_helper_which_keeps_no_password() {
    let scratch = Scratch::new();
    let accounts = Accounts::make(scratch.serve(&Options::default())).await;
    let layout = Layout::make(&scratch, &[("one", "amd64", "hello, helper")]);
    let helper = Helper::install(&scratch);
    let docker = Docker::start(scratch, &accounts.server);
    let image = docker.image("acme/web:one");
    docker.load(&layout, "one", &image);
    let configuration = json!({ "credHelpers": { &docker.host: "landfall" } });
    docker
        .scratch
        .write("client/config.json", &configuration.to_string());
    let push = || {
        let mut command = docker.command(&["push", "--quiet", &image]);
        output_of(helper.with(&mut command), "").status.success()
    };
    assert!(!push(), "without a login");
    let (user, key) = &accounts.alice[1];
    helper.log_in(&accounts.server, user, key);
    assert!(push(), "with an API key");

    // A login by docker replaces it.
    let words = [
        "login",
        "--username",
        "acme/alice",
        "--password-stdin",
        &docker.host,
    ];
    run_with(helper.with(&mut docker.command(&words)), PASSWORD);
    assert!(push(), "with a password that docker was given");
    let kept = helper.kept();
    assert!(!kept.contains(PASSWORD) && !kept.contains(key), "{kept}");
    run(helper.with(&mut docker.command(&["logout", &docker.host])));
    assert!(!push(), "after the logout");
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_gets_in_with_each_credential_and_with_the_helper() {
    let scratch = Scratch::new();
    let accounts = Accounts::make(scratch.serve(&Options::default())).await;
    podman::layout(&scratch);
    let helper = Helper::install(&scratch);
    let podman = Podman::of(scratch, &accounts.server);
    let id = podman.load();
    let image = podman.image("acme/web:one");
    let remote = format!("docker://{image}");
    let login = |user: &str, secret: &str| {
        let words = [
            "login",
            "--username",
            user,
            "--password-stdin",
            &podman.host,
        ];
        run_with(&mut podman.command(&words), secret);
    };
    let fails = |words: &[&str]| !output_of(&mut podman.command(words), "").status.success();
    for (user, secret) in &accounts.alice {
        login(user, secret);
        podman.run(&["push", &id, &remote]);
        podman.run(&["logout", &podman.host]);
    }
    podman
        .scratch
        .write("podman-auth.json", &accounts.saved_refresh_token());
    podman.run(&["push", &id, &remote]);

    podman.scratch.write("podman-auth.json", "{}");
    login("beta/robot", &accounts.robot);
    assert!(fails(&["pull", "--quiet", &image]), "without a policy");
    accounts.share().await;
    assert_eq!(podman.run(&["pull", "--quiet", &image]), id);
    assert!(fails(&["push", &id, &remote]), "it may only read");
    accounts.assert_refusal_is_told().await;

    let helpers = json!({ "credHelpers": { &podman.host: "landfall" } });
    podman
        .scratch
        .write("podman-auth.json", &helpers.to_string());
    helper.log_in(&accounts.server, "beta/robot", &accounts.robot);
    let mut pull = podman.command(&["pull", "--quiet", &image]);
    assert_eq!(run(helper.with(&mut pull)).trim(), id);
}

#[tokio::test(flavor = "multi_thread")]
async fn skopeo_gets_in_with_each_credential_and_across_accounts_by_a_policy() {
    let scratch = Scratch::new();
    let accounts = Accounts::make(scratch.serve(&Options::default())).await;
    let layout = Layout::make(&scratch, &[("one", "amd64", "hello from skopeo")]);
    let host = accounts.server.host().to_owned();
    let logins = scratch.path("auth.json");
    let skopeo = || {
        let mut command = tool("skopeo", "skopeo");
        command.arg("--insecure-policy").arg("--registries-conf");
        command.arg(scratch.registries(&accounts.server));
        command.env("REGISTRY_AUTH_FILE", &logins);
        command
    };
    let login = |user: &str, secret: &str| {
        let words = ["login", "--username", user, "--password-stdin", &host];
        run_with(skopeo().args(words), secret);
    };
    let image = format!("docker://{host}/acme/web:one");
    let push = || {
        output_of(
            skopeo().args(["copy", &layout.transport("one"), &image]),
            "",
        )
    };
    let inspect = || output_of(skopeo().args(["inspect", "--raw", &image]), "");
    for (user, secret) in &accounts.alice {
        login(user, secret);
        assert!(push().status.success(), "{user}");
        run(skopeo().args(["logout", &host]));
        assert!(!push().status.success(), "without a login");
    }
    scratch.write("auth.json", &accounts.saved_refresh_token());
    assert!(push().status.success(), "with a refresh token");

    scratch.write("auth.json", "{}");
    login("beta/robot", &accounts.robot);
    assert!(!inspect().status.success(), "without a policy");
    accounts.share().await;
    assert!(inspect().status.success(), "with a policy");
    assert!(!push().status.success(), "it may only read");
    accounts.assert_refusal_is_told().await;
}
