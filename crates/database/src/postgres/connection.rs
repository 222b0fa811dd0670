//! One connection: the handshake, prepared statements, a statement and its
//! answer.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use postgres_protocol::authentication::{md5_hash, sasl};

use super::{
    fault::{Fault, ServerError},
    options::Target,
    socket::{AsyncSocket, Socket},
    tls,
    wire::{self, Message, Outgoing, RawRow, Type},
};
use crate::{Error, Result, ToValue, ValueKind};

/// The oldest version that is supported: what the statements of the domains
/// and the functions of this crate need, and what still gets fixes.
const OLDEST: u32 = 13;
/// Prepared statements of one connection; beyond that it starts anew.
const PREPARED: usize = 1000;
/// A commit that was answered is kept, whatever the settings of the user or the
/// database have become since the start.
const KEEP: &str = "select set_config('synchronous_commit', 'on', false) \
                    where current_setting('synchronous_commit') = 'off'";

/// Makes connections, always the same way.
pub(super) struct Connector {
    target: Target,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// Whether this was a database for us once.
    checked: AtomicBool,
}

/// What a prepared statement is called, and what it answers.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) name: Arc<str>,
    pub(super) columns: Arc<[Type]>,
}

/// The answer to a statement.
pub(super) struct Answer {
    pub(super) columns: Arc<[Type]>,
    pub(super) rows: Vec<Bytes>,
    /// How many rows were changed.
    pub(super) changed: u64,
    /// Whether the limit of rows was reached.
    pub(super) suspended: bool,
}

impl Answer {
    /// Bytes of the largest row.
    pub(super) fn largest(&self) -> usize {
        self.rows.iter().map(Bytes::len).max().unwrap_or(0)
    }

    pub(super) fn rows(self) -> impl Iterator<Item = RawRow> {
        let columns = self.columns;
        self.rows.into_iter().map(move |body| RawRow {
            columns: Arc::clone(&columns),
            body,
        })
    }
}

/// An open connection. After an error of its own it is of no use any more.
pub(super) struct Connection {
    socket: Socket,
    incoming: BytesMut,
    outgoing: Outgoing,
    prepared: HashMap<String, Prepared>,
    /// Statements that got a name so far.
    named: u64,
    broken: bool,
}

impl Connector {
    pub(super) fn new(target: Target) -> Result<Self> {
        let tls = tls::config(&target)?;
        Ok(Self {
            target,
            tls,
            checked: AtomicBool::new(false),
        })
    }

    /// Where the database is, without secrets.
    pub(super) fn describe(&self) -> String {
        format!("{}/{}", self.target.host, self.target.database)
    }

    /// Connects for the first time, to see that this is a database for us.
    pub(super) fn check(&self) -> Result<()> {
        let opened = self.open().map_err(|fault| self.explain(fault));
        opened?.check()?;
        self.checked.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Opens a connection, in a blocking call.
    pub(super) fn connect(&self) -> Result<Connection> {
        let opened = self.open().and_then(|mut connection| {
            connection.script(KEEP)?;
            connection.wait_long()?;
            Ok(connection)
        });
        opened.map_err(|fault| match self.explain(fault) {
            // What was right at the start is being changed, and may be right
            // again: somebody moves the database, or gives it a new password.
            Error::Refused(reason) if self.checked.load(Ordering::Relaxed) => {
                Error::Unavailable(reason)
            }
            other => other,
        })
    }

    fn open(&self) -> Result<Connection, Fault> {
        self.sign_in(Socket::open(&self.target, self.tls.as_ref())?)
    }

    fn explain(&self, fault: Fault) -> Error {
        let (host, user) = (&self.target.host, &self.target.user);
        let database = &self.target.database;
        match fault {
            Fault::Lost(reason) => Error::Unavailable(format!("`{host}`: {reason}")),
            Fault::Server(error) => match error.code.as_str() {
                "28P01" => Error::Refused(format!(
                    "the metadata database at `{host}` refuses the password of `{user}`; check \
                     the password in its URL"
                )),
                "28000" => Error::Refused(format!(
                    "the metadata database at `{host}` does not let `{user}` in ({}); check its \
                     URL and the server's `pg_hba.conf`",
                    error.message
                )),
                "3D000" => Error::Refused(format!(
                    "there is no database `{database}` at `{host}`; make it (`createdb \
                     {database}`), or check the URL"
                )),
                "42501" => Error::Refused(format!(
                    "`{user}` may not use the database `{database}` at `{host}` ({})",
                    error.message
                )),
                _ => match Error::from(Fault::Server(error)) {
                    Error::Unavailable(reason) => Error::Unavailable(format!("`{host}`: {reason}")),
                    other => other,
                },
            },
        }
    }

    fn sign_in(&self, socket: Socket) -> Result<Connection, Fault> {
        let mut connection = Connection {
            socket,
            incoming: BytesMut::new(),
            outgoing: Outgoing::default(),
            prepared: HashMap::new(),
            named: 0,
            broken: false,
        };
        connection.outgoing.startup(&[
            ("user", &self.target.user),
            ("database", &self.target.database),
            ("application_name", "landfall"),
            ("client_encoding", "UTF8"),
            // A server of ours that hangs gives its locks back.
            ("idle_in_transaction_session_timeout", "60000"),
        ]);
        connection.flush()?;
        let mut exchange = None;
        loop {
            let message = connection.message()?;
            match message.tag {
                b'R' => self.authenticate(&mut connection, &message.body, &mut exchange)?,
                b'E' => return Err(Fault::Server(message.error())),
                b'S' if message.body.starts_with(b"in_hot_standby\0on\0") => {
                    return Err(Fault::Lost(
                        "the server is a standby, which takes no changes".to_owned(),
                    ));
                }
                b'Z' => break,
                _ => {}
            }
        }
        Ok(connection)
    }

    fn authenticate(
        &self,
        connection: &mut Connection,
        body: &[u8],
        exchange: &mut Option<sasl::ScramSha256>,
    ) -> Result<(), Fault> {
        let lost = |what: &str| Fault::Lost(what.to_owned());
        let (kind, rest) = body
            .split_first_chunk::<4>()
            .ok_or_else(|| lost("a message that is cut off"))?;
        let kind = u32::from_be_bytes(*kind);
        if matches!(kind, 0 | 12) {
            if let (12, Some(scram)) = (kind, exchange) {
                scram.finish(rest)?;
            }
            return Ok(());
        }
        let password = self.target.password.as_deref().ok_or_else(|| {
            Fault::Server(ServerError {
                code: "28P01".to_owned(),
                ..ServerError::default()
            })
        })?;
        match kind {
            3 => {
                if !connection.socket.is_private() {
                    return Err(lost(
                        "the server wants the password as it is, which needs TLS; set `sslmode`",
                    ));
                }
                connection.outgoing.password(password);
            }
            5 => {
                let salt = rest
                    .first_chunk::<4>()
                    .ok_or_else(|| lost("a message that is cut off"))?;
                let hashed = md5_hash(self.target.user.as_bytes(), password.as_bytes(), *salt);
                connection.outgoing.password(&hashed);
            }
            10 => {
                let binding = sasl::ChannelBinding::unsupported();
                let scram = sasl::ScramSha256::new(password.as_bytes(), binding);
                connection
                    .outgoing
                    .sasl_start(sasl::SCRAM_SHA_256, scram.message());
                *exchange = Some(scram);
            }
            11 => {
                let scram = exchange
                    .as_mut()
                    .ok_or_else(|| lost("an answer that nobody asked for"))?;
                scram.update(rest)?;
                connection.outgoing.sasl_continue(scram.message());
            }
            _ => {
                return Err(lost(
                    "the server wants a kind of sign-in that is not supported",
                ));
            }
        }
        connection.flush()
    }
}

impl Connection {
    /// Whether this may be a database for Landfall, and if not, why.
    pub(super) fn check(&mut self) -> Result<()> {
        let text = |connection: &mut Self, sql: &str| -> Result<String> {
            let answer = connection.run(None, "", sql, &[], 1)?;
            let row = answer.rows().next().ok_or(Error::Stopped)?;
            match row.value(0) {
                Ok(crate::Value::Text(text)) => Ok(text.to_owned()),
                _ => Err(Error::Stopped),
            }
        };
        let version = text(self, "select current_setting('server_version')")?;
        let major = version.split(['.', ' ']).next().and_then(|major| {
            let digits: String = major.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<u32>().ok()
        });
        if major.is_none_or(|major| major < OLDEST) {
            return Err(Error::Refused(format!(
                "the metadata database runs PostgreSQL {version}; Landfall needs {OLDEST} or later"
            )));
        }
        let encoding = text(self, "select current_setting('server_encoding')")?;
        if encoding != "UTF8" {
            return Err(Error::Refused(format!(
                "the metadata database stores texts as {encoding}; make one with \
                 `createdb --encoding=UTF8 --template=template0`"
            )));
        }
        let commit = text(self, "select current_setting('synchronous_commit')")?;
        if commit == "off" {
            return Err(Error::Refused(
                "the metadata database has `synchronous_commit` switched off, and would forget \
                 pushes that were answered; switch it on for this user or database"
                    .to_owned(),
            ));
        }
        if text(self, "select current_setting('fsync')")? == "off" {
            tracing::warn!(
                "the metadata database has `fsync` switched off: a power cut destroys it"
            );
        }
        Ok(())
    }

    /// Runs one statement. With `begin`, it opens the transaction on the way;
    /// `rows` limits the answer, 0 for all.
    pub(super) fn run(
        &mut self,
        begin: Option<&str>,
        portal: &str,
        sql: &str,
        params: &[&dyn ToValue],
        rows: u32,
    ) -> Result<Answer, Fault> {
        if let Some(begin) = begin {
            self.begin(begin);
        }
        let known = self.prepared.get(sql).cloned();
        let fresh = known.is_none();
        let prepared = known.unwrap_or_else(|| self.prepare(sql, params));
        self.outgoing
            .bind(portal, &prepared.name, &wire::encode(params));
        self.outgoing.execute(portal, rows);
        self.outgoing.sync();
        self.flush()?;
        let answer = self.answer(prepared.columns.clone())?;
        if fresh {
            let columns = Arc::clone(&answer.columns);
            if self.prepared.len() < PREPARED {
                let name = prepared.name;
                self.prepared
                    .insert(sql.to_owned(), Prepared { name, columns });
            } else {
                // Statements of which there are that many are made up; a new
                // connection starts without them.
                self.broken = true;
            }
        }
        Ok(answer)
    }

    /// Goes on with a portal that has more rows.
    pub(super) fn run_on(
        &mut self,
        portal: &str,
        columns: &Arc<[Type]>,
        rows: u32,
    ) -> Result<Answer, Fault> {
        self.outgoing.execute(portal, rows);
        self.outgoing.sync();
        self.flush()?;
        self.answer(Arc::clone(columns))
    }

    /// Closes a portal, with the next statement.
    pub(super) fn close_portal(&mut self, portal: &str) {
        self.outgoing.close_portal(portal);
    }

    /// Runs statements without parameters; the tag of the last one.
    pub(super) fn script(&mut self, sql: &str) -> Result<Bytes, Fault> {
        self.outgoing.query(sql);
        self.flush()?;
        let (mut tag, mut refused) = (Bytes::new(), None);
        loop {
            let message = self.message()?;
            match message.tag {
                b'C' => tag = message.body,
                b'E' => refused = Some(self.refusal(&message)?),
                b'Z' => break,
                _ => {}
            }
        }
        refused.map_or(Ok(tag), Err)
    }

    /// The beginning of a transaction, before the statement that follows: one
    /// way to the server and back for both. If it fails, so does what follows.
    fn begin(&mut self, begin: &str) {
        self.outgoing.parse("", begin, &[]);
        self.outgoing.bind("", "", &wire::encode(&[]));
        self.outgoing.execute("", 0);
    }

    fn prepare(&mut self, sql: &str, params: &[&dyn ToValue]) -> Prepared {
        self.named += 1;
        let name = format!("s{}", self.named);
        let kinds: Vec<ValueKind> = params.iter().copied().map(ToValue::kind).collect();
        self.outgoing.prepare(&name, sql, &kinds);
        Prepared {
            name: name.into(),
            columns: Arc::default(),
        }
    }

    fn answer(&mut self, columns: Arc<[Type]>) -> Result<Answer, Fault> {
        let mut answer = Answer {
            columns,
            rows: Vec::new(),
            changed: 0,
            suspended: false,
        };
        let mut refused = None;
        loop {
            let message = self.message()?;
            match message.tag {
                b'T' => answer.columns = message.columns().map_err(Fault::Lost)?,
                b'D' => answer.rows.push(message.body),
                b'C' => answer.changed = message.changed(),
                b's' => answer.suspended = true,
                b'E' => refused = Some(self.refusal(&message)?),
                b'Z' => break,
                _ => {}
            }
        }
        refused.map_or(Ok(answer), Err)
    }

    /// An error that the connection survives, or the end of it.
    fn refusal(&mut self, message: &Message) -> Result<Fault, Fault> {
        let error = message.error();
        if error.is_fatal() {
            self.broken = true;
            return Err(Fault::Server(error));
        }
        if matches!(error.code.as_str(), "0A000" | "26000" | "25006") {
            // A prepared statement is not what it was, or the server has become
            // a standby; with a new connection it may be otherwise.
            self.broken = true;
        }
        Ok(Fault::Server(error))
    }

    fn message(&mut self) -> Result<Message, Fault> {
        loop {
            match Message::take(&mut self.incoming) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(reason) => {
                    self.broken = true;
                    return Err(Fault::Lost(reason));
                }
            }
            if let Err(error) = self.socket.receive(&mut self.incoming) {
                self.broken = true;
                return Err(error.into());
            }
        }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let sent = self.socket.send(&self.outgoing.0);
        self.outgoing.0.clear();
        sent.map_err(|error| {
            self.broken = true;
            // What the server said before it hung up tells more.
            while let Ok(()) = self.socket.receive(&mut self.incoming) {}
            while let Ok(Some(message)) = Message::take(&mut self.incoming) {
                if message.tag == b'E' {
                    return Fault::Server(message.error());
                }
            }
            error.into()
        })
    }

    /// The handshake is over: from now on an answer may take its time.
    fn wait_long(&self) -> Result<(), Fault> {
        Ok(self.socket.wait_long()?)
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Looks whether the server has closed the connection while it lay idle.
    pub(super) fn is_alive(&mut self) -> bool {
        if self.broken || self.socket.receive_stray(&mut self.incoming).is_err() {
            return false;
        }
        // Notices and changed settings are of no interest; an error is the last
        // message of a server that stops.
        loop {
            match Message::take(&mut self.incoming) {
                Ok(Some(message)) if message.tag == b'E' => return false,
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    /// The same connection for calls that wait without a thread.
    pub(super) fn into_async(self) -> std::io::Result<AsyncSocket> {
        self.socket.into_async()
    }
}
