//! Requests to the server: signed, repeated, and refused in words.
//!
//! # Repeating
//!
//! A request whose connection broke, whose answer doesn't come, or that the
//! server answers with "later" (5xx, `SlowDown`) is sent again, after a pause
//! that grows and is cut at random, until the store's patience is over. All
//! requests may be sent twice; where that makes a difference (an object that
//! must not be there, an upload that is completed) the caller looks at what is
//! there after a refusal.
//!
//! # Who guards the bytes
//!
//! Bodies carry their MD5, which the server compares, so their own hash is not
//! a part of the signature. It would be one more pass of SHA-256 over each byte.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use object_store::{
    aws::{AmazonS3, AmazonS3Builder, AwsAuthorizer},
    client::{HttpRequest, HttpRequestBody},
    path::Path,
    signer::{SignedUrlOptions, Signer},
};
use tokio::time::{Instant, sleep, timeout};

use super::{
    answers,
    options::{S3Key, S3Options},
};
use crate::Error;

/// The first pause between two tries, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A body is given this much more time for each of its bytes: 128 KiB a second.
const SLOWEST: u64 = 128 << 10;
/// The largest answer that is read whole. A list of a thousand is far smaller.
const LARGEST_ANSWER: usize = 16 << 20;

/// A connection to one bucket.
pub(super) struct Client {
    http: reqwest::Client,
    /// Finds the key and signs URLs. It sends nothing.
    signer: AmazonS3,
    /// The bucket's URL, without a slash at its end.
    url: String,
    options: S3Options,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// A request, to be sent as often as it takes.
pub(super) struct Request<'a> {
    method: Method,
    /// The name of the object; empty for the bucket.
    key: &'a str,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// How many times longer than usual the answer may take.
    slack: u32,
    /// The largest answer that is read whole.
    largest: usize,
    is_repeated: bool,
}

/// A refusal that no repetition changes.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// `NoSuchKey`; empty if the answer had none.
    pub(super) code: String,
}

/// Why a request failed.
#[derive(Debug)]
pub(super) enum Failure {
    Refused(Refusal),
    Failed(Error),
}

impl<'a> Request<'a> {
    pub(super) fn new(method: Method, key: &'a str) -> Self {
        Self {
            method,
            key,
            query: Vec::new(),
            headers: Vec::new(),
            body: Bytes::new(),
            slack: 1,
            largest: LARGEST_ANSWER,
            is_repeated: true,
        }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// For a caller that looks at what became of it before it tries again.
    pub(super) fn once(mut self) -> Self {
        self.is_repeated = false;
        self
    }

    /// For answers larger than a list.
    pub(super) fn largest(mut self, largest: usize) -> Self {
        self.largest = largest;
        self
    }

    /// For work that the server does before it answers.
    pub(super) fn patiently(mut self) -> Self {
        self.slack = 10;
        self
    }
}

/// How long a request is repeated, and with what pauses.
pub(super) struct Patience {
    end: Instant,
    pause: Duration,
}

impl Patience {
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            end: Instant::now() + patience,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits for the next try, if there shall be one.
    async fn wait(&mut self, failed: Try) -> Result<(), Failure> {
        match failed {
            Try::Refused(refusal) => Err(Failure::Refused(refusal)),
            Try::Failed(error) => Err(Failure::Failed(error)),
            Try::Again(reason) => self.pause(reason).await,
        }
    }

    /// As [`Patience::wait`], for what can be tried again.
    pub(super) async fn pause(&mut self, reason: io::Error) -> Result<(), Failure> {
        if Instant::now() + self.pause > self.end {
            return Err(Failure::Failed(Error::Away(reason)));
        }
        tracing::debug!(error = %reason, "a request to the blob store is repeated");
        sleep(self.pause.mul_f64(rand::random_range(0.5..1.0))).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

/// One try that failed.
enum Try {
    Again(io::Error),
    Refused(Refusal),
    Failed(Error),
}

impl Client {
    pub(super) fn new(options: S3Options) -> Result<Self, Error> {
        let server = options.server();
        let mut builder = match &options.key {
            Some(S3Key {
                id,
                secret,
                session,
            }) => {
                let builder = AmazonS3Builder::new()
                    .with_access_key_id(id)
                    .with_secret_access_key(secret);
                match session {
                    Some(session) => builder.with_token(session),
                    None => builder,
                }
            }
            None => AmazonS3Builder::from_env(),
        };
        builder = builder
            .with_endpoint(&server)
            .with_virtual_hosted_style_request(false)
            .with_skip_signature(false)
            .with_allow_http(true)
            .with_region(&options.region)
            .with_bucket_name(&options.bucket);
        let unusable = |error: &dyn std::fmt::Display| Error::Refused(error.to_string());
        let signer = builder.build().map_err(|error| unusable(&error))?;
        let http = reqwest::Client::builder()
            .connect_timeout(options.silence.min(Duration::from_secs(5)))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent("landfall")
            .build()
            .map_err(|error| unusable(&error))?;
        Ok(Self {
            http,
            signer,
            url: format!("{server}/{}", options.bucket),
            options,
        })
    }

    pub(super) fn bucket(&self) -> &str {
        &self.options.bucket
    }

    pub(super) fn patience(&self) -> Duration {
        self.options.patience
    }

    pub(super) fn silence(&self) -> Duration {
        self.options.silence
    }

    /// A URL that reads the object `key` until `lifetime` is over.
    pub(super) async fn presign(
        &self,
        key: &str,
        lifetime: Duration,
        media_type: &str,
    ) -> Result<String, Error> {
        let options =
            SignedUrlOptions::default().with_query([("response-content-type", media_type)]);
        let path = Path::from(key);
        let signed = self
            .signer
            .signed_url_opts(Method::GET, &path, lifetime, &options);
        match signed.await {
            Ok(url) => Ok(url.into()),
            Err(error) => Err(Error::Refused(no_key(&error))),
        }
    }

    /// Sends the request until it is answered; returns what the answer says.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<(HeaderMap, Bytes), Failure> {
        let mut patience = Patience::new(self.options.patience);
        loop {
            match self.try_whole(&request).await {
                Ok(answer) => return Ok(answer),
                Err(Try::Again(reason)) if !request.is_repeated => {
                    return Err(Failure::Failed(Error::Away(reason)));
                }
                Err(failed) => patience.wait(failed).await?,
            }
        }
    }

    /// As [`Client::send`], but leaves the reading of the body to the caller.
    pub(super) async fn open(&self, request: Request<'_>) -> Result<reqwest::Response, Failure> {
        let mut patience = Patience::new(self.options.patience);
        loop {
            match self.try_once(&request).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => patience.wait(failed).await?,
            }
        }
    }

    async fn try_whole(&self, request: &Request<'_>) -> Result<(HeaderMap, Bytes), Try> {
        let response = self.try_once(request).await?;
        let headers = response.headers().clone();
        let body = self.read_whole(response, request.largest).await?;
        // Some long work is answered with 200 before it has succeeded.
        match answers::error_code(&body).filter(|_| request.method != Method::GET) {
            Some(code) => Err(refused(StatusCode::INTERNAL_SERVER_ERROR, code)),
            None => Ok((headers, body)),
        }
    }

    async fn try_once(&self, request: &Request<'_>) -> Result<reqwest::Response, Try> {
        let sent = self.sign(request).await?.send();
        let size = request.body.len() as u64;
        let limit = self.options.silence * request.slack + Duration::from_secs(size / SLOWEST);
        let response = match timeout(limit, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Try::Again(io::Error::other(error.without_url()))),
            Err(_) => return Err(Try::Again(silent())),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.read_whole(response, LARGEST_ANSWER).await?;
        let code = answers::error_code(&body);
        let is_s3 = code.is_some() || request.method == Method::HEAD;
        let code = code.unwrap_or_default();
        if is_later(status, &code) {
            return Err(Try::Again(io::Error::other(format!(
                "the server answers {status} {code}"
            ))));
        }
        if !is_s3 {
            // A proxy whose server is away. It says nothing of the object.
            if status == StatusCode::NOT_FOUND {
                let what = "the server answers 404, and not as an S3 server does";
                return Err(Try::Again(io::Error::other(what)));
            }
            return Err(Try::Failed(self.no_s3(status)));
        }
        Err(Try::Refused(Refusal { status, code }))
    }

    async fn sign(&self, request: &Request<'_>) -> Result<reqwest::RequestBuilder, Try> {
        let mut url = self.url.clone();
        if !request.key.is_empty() {
            url.push('/');
            url.push_str(request.key);
        }
        for (number, (name, value)) in request.query.iter().enumerate() {
            url.push(if number == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            // As in a form, but for the space, which no value here has.
            url.extend(url::form_urlencoded::byte_serialize(value.as_bytes()));
        }
        let mut unsigned = HttpRequest::new(HttpRequestBody::empty());
        let unusable = |what: &dyn std::fmt::Display| {
            Try::Failed(Error::Refused(format!("a request can't be made: {what}")))
        };
        *unsigned.method_mut() = request.method.clone();
        *unsigned.uri_mut() = url.parse().map_err(|error| unusable(&error))?;
        for (name, value) in &request.headers {
            let value = HeaderValue::from_str(value).map_err(|error| unusable(&error))?;
            unsigned
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        let credential = self.signer.credentials().get_credential();
        // A role's key comes from another server.
        let credential = timeout(self.options.silence, credential)
            .await
            .map_err(|_| Try::Again(silent()))?
            .map_err(|error| Try::Failed(Error::Refused(no_key(&error))))?;
        AwsAuthorizer::new(&credential, "s3", &self.options.region)
            .with_sign_payload(false)
            .try_authorize(&mut unsigned, None)
            .map_err(|error| unusable(&error))?;
        let (parts, _) = unsigned.into_parts();
        let builder = self
            .http
            .request(parts.method, &url)
            .headers(parts.headers)
            // S3 wants it for empty bodies as well.
            .header(http::header::CONTENT_LENGTH, request.body.len())
            .body(request.body.clone());
        Ok(builder)
    }

    async fn read_whole(
        &self,
        mut response: reqwest::Response,
        largest: usize,
    ) -> Result<Bytes, Try> {
        let mut whole = Vec::new();
        loop {
            let chunk = match timeout(self.options.silence, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return Ok(whole.into()),
                Ok(Err(error)) => return Err(Try::Again(io::Error::other(error.without_url()))),
                Err(_) => return Err(Try::Again(silent())),
            };
            if whole.len() + chunk.len() > largest {
                return Err(Try::Failed(self.no_s3(response.status())));
            }
            whole.extend_from_slice(&chunk);
        }
    }

    fn no_s3(&self, status: StatusCode) -> Error {
        let server = self.options.server();
        Error::Refused(format!(
            "`{server}` answers {status}, and not as an S3 server does; check the endpoint"
        ))
    }

    /// What a refusal means that the caller has no use for.
    pub(super) fn explain(&self, doing: &'static str, failure: Failure) -> Error {
        let refusal = match failure {
            Failure::Failed(error) => return error,
            Failure::Refused(refusal) => refusal,
        };
        let S3Options { bucket, region, .. } = &self.options;
        let server = self.options.server();
        let sentence = match (refusal.code.as_str(), refusal.status) {
            ("NoSuchBucket", _) => {
                format!("there is no bucket `{bucket}` at `{server}`; make it, or correct its name")
            }
            ("InvalidAccessKeyId", _) => {
                format!("`{server}` doesn't know the access key; check `AWS_ACCESS_KEY_ID`")
            }
            ("SignatureDoesNotMatch", _) => format!(
                "`{server}` says that the secret of the access key is wrong; check \
                 `AWS_SECRET_ACCESS_KEY`"
            ),
            ("ExpiredToken" | "InvalidToken", _) => {
                "the session of the access key is over; renew `AWS_SESSION_TOKEN`".to_owned()
            }
            ("RequestTimeTooSkewed", _) => {
                format!("the clocks of this host and of `{server}` differ; set them")
            }
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect", _) => {
                format!(
                    "bucket `{bucket}` is not in the region `{region}`; name its region in the \
                     blob store's URL, as `?region=..`"
                )
            }
            ("QuotaExceeded" | "StorageFull" | "XMinioStorageFull", _)
            | (_, StatusCode::INSUFFICIENT_STORAGE) => {
                return Error::Full(io::Error::other(refusal.code));
            }
            ("AccessDenied" | "", StatusCode::FORBIDDEN) | ("AccessDenied", _) => format!(
                "the access key has no permission for bucket `{bucket}` at `{server}`; let it \
                 list the bucket and its uploads, and get, put and delete objects"
            ),
            (code, status) => {
                return Error::Io {
                    doing,
                    source: io::Error::other(format!("the server answers {status} {code}")),
                };
            }
        };
        Error::Refused(sentence)
    }
}

fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the server doesn't answer")
}

fn no_key(error: &object_store::Error) -> String {
    format!(
        "no access key was found ({error}); set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`"
    )
}

/// Whether the server asks for another try, later.
fn is_later(status: StatusCode, code: &str) -> bool {
    let later = [
        "InternalError",
        "SlowDown",
        "ServiceUnavailable",
        "RequestTimeout",
        "OperationAborted",
        "ConditionalRequestConflict",
        "BadDigest",
        "IncompleteBody",
    ];
    later.contains(&code)
        || status == StatusCode::REQUEST_TIMEOUT
        || status == StatusCode::TOO_MANY_REQUESTS
        || (status.is_server_error()
            && status != StatusCode::NOT_IMPLEMENTED
            && status != StatusCode::INSUFFICIENT_STORAGE)
}

/// An error inside of an answer that began well.
fn refused(status: StatusCode, code: String) -> Try {
    if is_later(StatusCode::OK, &code) {
        return Try::Again(io::Error::other(format!("the server answers {code}")));
    }
    Try::Refused(Refusal { status, code })
}

impl Failure {
    /// An upload that is not there any more.
    pub(super) fn no_such_upload() -> Self {
        Self::Refused(Refusal {
            status: StatusCode::NOT_FOUND,
            code: "NoSuchUpload".to_owned(),
        })
    }

    /// Whether the server says that the object, or the upload, is not there.
    pub(super) fn is_missing(&self) -> bool {
        match self {
            Self::Failed(_) => false,
            // HEAD is answered without a code.
            Self::Refused(Refusal { status, code }) => match code.as_str() {
                "NoSuchKey" | "NoSuchUpload" => true,
                "" | "NotFound" => *status == StatusCode::NOT_FOUND,
                _ => false,
            },
        }
    }

    /// Whether a condition of the request did not hold.
    pub(super) fn is_precondition(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.status == StatusCode::PRECONDITION_FAILED)
    }
}
