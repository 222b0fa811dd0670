//! Requests to one registry: who asks, how often, and where it leads.
//!
//! Credentials and tokens go to the registry's own origin and to its token
//! service only. A redirect to another host, such as a presigned URL of an
//! object store, is followed without them, and can't ask for them either.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use reqwest::{
    Client, Method, Response, StatusCode,
    header::{self, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use super::{
    Access, Login,
    access::{Address, host_and_port, is_loopback},
    answer,
    challenge::{self, Challenge},
};
use crate::{Error, Limits, Patience, Repository};

/// The longest answer of a token service, in bytes.
const TOKEN: u64 = 1 << 20;

/// How long a token is good that doesn't say it.
const TOKEN_LIFE: u64 = 60;

/// How often a registry is looked for before it counts as away.
const KNOCKS: u32 = 3;

/// One registry.
pub(crate) struct Registry {
    /// For requests whose answer comes at once.
    http: Client,
    /// For requests whose body takes its time; who sends it looks at the time.
    uploads: Client,
    pub(super) base: Url,
    /// What messages call it.
    pub(super) name: String,
    login: Option<Login>,
    hint: String,
    pub(super) limits: Limits,
    pub(super) patience: Patience,
    /// What the registry wants to see, and the tokens by their scope. Held for
    /// look-ups only, never over a request.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    challenge: Option<Challenge>,
    tokens: HashMap<String, Token>,
}

struct Token {
    value: Zeroizing<String>,
    until: Instant,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// What a request needs to be allowed.
#[derive(Debug, Clone)]
pub(super) struct Scope(Vec<String>);

impl Scope {
    pub(super) fn pull(repository: &Repository) -> Self {
        Self(vec![format!("repository:{repository}:pull")])
    }

    pub(super) fn push(repository: &Repository) -> Self {
        Self(vec![format!("repository:{repository}:pull,push")])
    }

    pub(super) fn mount(to: &Repository, from: &Repository) -> Self {
        let mut scope = Self::push(to);
        scope.0.push(format!("repository:{from}:pull"));
        scope
    }

    pub(super) fn catalog() -> Self {
        Self(vec!["registry:catalog:*".to_owned()])
    }
}

/// A request that can be sent again.
#[derive(Debug, Clone)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) scope: &'a Scope,
    /// What messages call that which is asked for.
    pub(super) what: &'a str,
}

impl Registry {
    /// Looks for the registry, and learns how it wants to be asked.
    pub(crate) async fn connect(access: &Access, host: Option<&str>) -> Result<Self, Error> {
        let Address {
            name,
            candidates,
            login,
            hint,
            is_local,
        } = access.address(host).await?;
        let client = || {
            let mut client = Client::builder()
                .user_agent(concat!("landfall/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(Duration::from_secs(15));
            for authority in access.authorities()? {
                client = client.add_root_certificate(authority);
            }
            Ok::<_, Error>(if is_local { client.no_proxy() } else { client })
        };
        let built = |client: reqwest::ClientBuilder| {
            client
                .build()
                .map_err(|error| Error::Refused(format!("no HTTP client can be made: {error}")))
        };
        let http = built(client()?.read_timeout(access.patience.silence))?;
        let uploads = built(client()?)?;
        let mut registry = Self {
            http,
            uploads,
            base: candidates[0].clone(),
            name,
            login,
            hint,
            limits: access.limits.clone(),
            patience: access.patience.clone(),
            state: Mutex::default(),
        };
        let mut failed = 0;
        loop {
            let mut refused = None;
            for candidate in &candidates {
                registry.base = candidate.clone();
                match registry.ping().await {
                    Ok(()) => return Ok(registry),
                    Err(error) => {
                        // An answer says more than silence.
                        let says_more = refused.as_ref().is_none_or(|first: &Error| {
                            !answer::is_without_tls(&error)
                                && (first.is_transient()
                                    || answer::is_without_tls(first)
                                    || !error.is_transient())
                        });
                        refused = if says_more { Some(error) } else { refused };
                    }
                }
            }
            failed += 1;
            match refused {
                Some(error) if error.is_transient() && failed < KNOCKS => {
                    tokio::time::sleep(registry.patience.wait(failed)).await;
                }
                Some(error) => return Err(error),
                None => return Err(Error::Refused("there is no registry to ask".to_owned())),
            }
        }
    }

    async fn ping(&self) -> Result<(), Error> {
        let nothing = Scope(Vec::new());
        let ask = Ask {
            method: Method::GET,
            url: self.url("v2/")?,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            scope: &nothing,
            what: "its API",
        };
        let response = self.follow(&ask, None).await?;
        match response.status() {
            StatusCode::UNAUTHORIZED => {
                self.learn(&response);
                Ok(())
            }
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(Error::Refused(format!(
                "`{}` is no registry: it does not know `/v2/`",
                self.name
            ))),
            _ => Err(self.refusal(&ask, response).await),
        }
    }

    /// The URL of a path, which is encoded already.
    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        self.base
            .join("/")
            .and_then(|root| root.join(path))
            .map_err(|error| Error::Refused(format!("`{path}` is no path: {error}")))
    }

    /// Sends a request, as often as it makes sense, and gives the answer,
    /// whatever its status, unless that says to come back later.
    pub(super) async fn send(&self, ask: &Ask<'_>) -> Result<Response, Error> {
        let (mut failed, mut renewed) = (0, false);
        loop {
            let answer = match self.authorization(ask.scope).await {
                Ok(authorization) => self.follow(ask, authorization.as_ref()).await,
                Err(error) => Err(error),
            };
            let error = match answer {
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && !renewed => {
                    renewed = true;
                    self.learn(&response);
                    self.renew(ask.scope, &response).await?;
                    continue;
                }
                Ok(response) if answer::is_transient(response.status()) => {
                    self.refusal(ask, response).await
                }
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            failed += 1;
            self.pause(error, failed).await?;
        }
    }

    /// Waits after an attempt that failed, or gives its error back where
    /// another one makes no sense.
    pub(super) async fn pause(&self, error: Error, failed: u32) -> Result<(), Error> {
        let Error::Unavailable { message, after } = error else {
            return Err(error);
        };
        let longest = self.patience.longest;
        if let Some(after) = after.filter(|after| *after > longest) {
            return Err(Error::Unavailable {
                message: format!("{message}; it asks to come back in {} s", after.as_secs()),
                after: Some(after),
            });
        }
        if failed >= self.patience.attempts {
            return Err(Error::Unavailable { message, after });
        }
        let wait = self.patience.wait(failed);
        tokio::time::sleep(after.map_or(wait, |after| after.max(wait))).await;
        Ok(())
    }

    /// Sends a request once, and follows its redirects. A 401 that this gives
    /// is the registry's own.
    async fn follow(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, Error> {
        let mut url = ask.url.clone();
        for _ in 0..=self.limits.redirects {
            let request = if is_reading(&ask.method) {
                self.http.request(ask.method.clone(), url.clone())
            } else {
                // A registry may move a whole layer before it answers.
                let request = self.uploads.request(ask.method.clone(), url.clone());
                request.timeout(self.patience.silence * 10)
            };
            let mut request = request.headers(ask.headers.clone());
            if let Some(authorization) = authorization.filter(|_| self.is_own(&url)) {
                request = request.header(header::AUTHORIZATION, authorization.clone());
            }
            if !ask.body.is_empty() || !is_reading(&ask.method) {
                request = request.body(ask.body.clone());
            }
            let response = request
                .send()
                .await
                .map_err(|error| answer::unreached(&self.name, &error))?;
            if response.status() == StatusCode::UNAUTHORIZED && !self.is_own(&url) {
                return Err(self.foreign_challenge(&url, ask.what));
            }
            if !response.status().is_redirection() || !is_reading(&ask.method) {
                return Ok(response);
            }
            let target = answer::text(&response, "location").and_then(|to| url.join(to).ok());
            let Some(target) = target else {
                return Ok(response);
            };
            self.check_target(&target, ask.what)?;
            url = target;
        }
        Err(Error::Refused(format!(
            "registry `{}` redirects more than {} times for {}",
            self.name, self.limits.redirects, ask.what
        )))
    }

    /// What a 401 from elsewhere means. It is no challenge: who answers it
    /// would name the realm that gets the password.
    fn foreign_challenge(&self, target: &Url, what: &str) -> Error {
        Error::Refused(format!(
            "registry `{}` sends us to `{}` for {what}, and that host asks for a login; only the \
             registry itself may",
            self.name,
            host_and_port(target)
        ))
    }

    /// Refuses a target that is no web address, or gives up TLS.
    pub(super) fn check_target(&self, target: &Url, what: &str) -> Result<(), Error> {
        let is_web = matches!(target.scheme(), "http" | "https");
        let gives_up_tls = self.base.scheme() == "https" && target.scheme() == "http";
        if is_web && !gives_up_tls {
            return Ok(());
        }
        Err(Error::Refused(format!(
            "registry `{}` sends us to `{}://{}` for {what}, away from TLS",
            self.name,
            target.scheme(),
            host_and_port(target)
        )))
    }

    /// Whether a URL is the registry's own, so that it may see a token.
    pub(super) fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// A request whose body is a stream, to be sent once by the caller.
    pub(super) async fn streaming(
        &self,
        method: Method,
        url: Url,
        scope: &Scope,
    ) -> Result<reqwest::RequestBuilder, Error> {
        let authorization = self.authorization(scope).await?;
        let is_own = self.is_own(&url);
        let request = self.uploads.request(method, url);
        Ok(match authorization.filter(|_| is_own) {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        })
    }

    /// The error that an answer tells of.
    pub(super) async fn refusal(&self, ask: &Ask<'_>, response: Response) -> Error {
        answer::refusal(&self.name, ask.what, self.asker(), response).await
    }

    /// Who asks, or what to do so that somebody does.
    fn asker(&self) -> Result<&str, &str> {
        self.user().ok_or(&self.hint)
    }

    fn user(&self) -> Option<&str> {
        self.login.as_ref().map(Login::user)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // What is under the lock is whole after each of its changes.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a 401 says that the registry wants.
    fn learn(&self, response: &Response) {
        let challenges = response.headers().get_all(header::WWW_AUTHENTICATE);
        let all: Vec<&str> = challenges
            .iter()
            .filter_map(|value| value.to_str().ok())
            .collect();
        if let Some(challenge) = challenge::parse(&all.join(", ")) {
            self.state().challenge = Some(challenge);
        }
    }

    /// What goes into `Authorization` for a scope.
    async fn authorization(&self, scope: &Scope) -> Result<Option<HeaderValue>, Error> {
        let key = scope.0.join(" ");
        let challenge = {
            let state = self.state();
            if let Some(token) = state.tokens.get(&key)
                && token.until > Instant::now()
            {
                return bearer(&token.value).map(Some);
            }
            state.challenge.clone()
        };
        match challenge {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.login.as_ref().and_then(basic)),
            Some(Challenge::Bearer { realm, service, .. }) => {
                let token = self.fetch(&realm, service.as_deref(), &scope.0).await?;
                let value = bearer(&token.value)?;
                self.state().tokens.insert(key, token);
                Ok(Some(value))
            }
        }
    }

    /// Gets a new token after a 401, with what that one asked for.
    async fn renew(&self, scope: &Scope, refused: &Response) -> Result<(), Error> {
        let key = scope.0.join(" ");
        self.state().tokens.remove(&key);
        let challenge = answer::text(refused, "www-authenticate").and_then(challenge::parse);
        let Some(Challenge::Bearer {
            realm,
            service,
            scope: asked,
        }) = challenge
        else {
            return Ok(());
        };
        let mut scopes = scope.0.clone();
        let asked = asked.unwrap_or_default();
        scopes.extend(asked.split(' ').map(str::to_owned));
        scopes.retain(|each| !each.is_empty());
        scopes.dedup();
        let token = self.fetch(&realm, service.as_deref(), &scopes).await?;
        self.state().tokens.insert(key, token);
        Ok(())
    }

    /// Asks the token service.
    async fn fetch(
        &self,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Token, Error> {
        let realm = self
            .base
            .join(realm)
            .map_err(|_| Error::Refused(format!("registry `{}` names no realm", self.name)))?;
        let is_safe =
            realm.scheme() == "https" || self.base.scheme() == "http" || is_loopback(&realm);
        if !is_safe {
            self.check_target(&realm, "a token")?;
        }
        let mut failed = 0;
        loop {
            let error = match self.fetch_once(&realm, service, scopes).await {
                Ok(token) => return Ok(token),
                Err(error) => error,
            };
            failed += 1;
            self.pause(error, failed).await?;
        }
    }

    async fn fetch_once(
        &self,
        realm: &Url,
        service: Option<&str>,
        scopes: &[String],
    ) -> Result<Token, Error> {
        let mut fields: Vec<(&str, &str)> =
            service.map(|name| ("service", name)).into_iter().collect();
        let joined = scopes.join(" ");
        let identity = self.login.as_ref().and_then(Login::identity_token);
        let request = if let Some(identity) = identity {
            fields.extend([
                ("grant_type", "refresh_token"),
                ("client_id", "landfall"),
                ("refresh_token", identity),
                ("scope", &joined),
            ]);
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.extend_pairs(fields);
            self.http
                .post(realm.clone())
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.finish())
        } else {
            let mut url = realm.clone();
            fields.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
            if let Some(user) = self.user() {
                fields.push(("account", user));
            }
            url.query_pairs_mut().extend_pairs(fields);
            let request = self.http.get(url);
            match &self.login {
                Some(login) => request.basic_auth(login.user(), login.password()),
                None => request,
            }
        };
        let response = request
            .send()
            .await
            .map_err(|error| answer::unreached(&self.name, &error))?;
        if !response.status().is_success() {
            return Err(answer::refusal(&self.name, "a token", self.asker(), response).await);
        }
        let body = answer::body(&self.name, "a token", response, TOKEN).await?;
        let answer: Option<TokenAnswer> = serde_json::from_slice(&body).ok();
        let life = answer.as_ref().and_then(|answer| answer.expires_in);
        let value = answer.and_then(|answer| answer.token.or(answer.access_token));
        let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
            Error::Refused(format!(
                "the token service of registry `{}` gives no token",
                self.name
            ))
        })?;
        // A token is not used up to its last moment.
        let life = life.unwrap_or(TOKEN_LIFE).clamp(5, 24 * 3600) * 9 / 10;
        Ok(Token {
            value: value.into(),
            until: Instant::now() + Duration::from_secs(life),
        })
    }
}

/// Whether a request may be answered from elsewhere.
fn is_reading(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

fn bearer(token: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Error::Refused("the token service gives a token that can't be sent".to_owned())
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn basic(login: &Login) -> Option<HeaderValue> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let pair = Zeroizing::new(format!("{}:{}", login.user(), login.password()?));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(&*pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}
