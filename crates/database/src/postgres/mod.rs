//! PostgreSQL behind the interface: threads that run closures, and look-ups
//! that share connections.

mod connection;
mod fault;
mod lookups;
mod options;
mod pool;
mod socket;
mod tls;
mod transaction;
mod wire;

use std::sync::Arc;

use tokio::sync::oneshot;

pub use self::options::PostgresOptions;
use self::{connection::Connector, lookups::LookUps, options::Target, pool::Pool};
pub(crate) use self::{transaction::Transaction, wire::RawRow};
use crate::{Error, ReadTransaction, Result, Row, ToValue, Urgency, WriteTransaction};

/// Threads for reads that may take long.
const LONG: usize = 4;
/// Threads for work behind the foreground: one, so that it takes no more of
/// the server than one connection can.
const BEHIND: usize = 1;

/// An open PostgreSQL database.
pub(crate) struct Postgres {
    connector: Arc<Connector>,
    foreground: Pool,
    behind: Pool,
    long: Pool,
    lookups: LookUps,
}

impl Postgres {
    /// Connects once, to see that this is a database for us.
    pub(crate) fn open(options: &PostgresOptions) -> Result<Self> {
        let connector = Arc::new(Connector::new(Target::parse(&options.url)?)?);
        connector.check()?;
        Ok(Self {
            foreground: Pool::new("database", options.connections, &connector),
            behind: Pool::new("database-behind", BEHIND, &connector),
            long: Pool::new("database-long", LONG, &connector),
            lookups: LookUps::new(&connector),
            connector,
        })
    }

    /// Where the database is, without secrets.
    pub(crate) fn describe(&self) -> String {
        self.connector.describe()
    }

    pub(crate) async fn write<T, E, F>(&self, urgency: Urgency, work: F) -> Result<T, E>
    where
        F: FnMut(&WriteTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        let pool = match urgency {
            Urgency::Foreground => &self.foreground,
            Urgency::Behind => &self.behind,
        };
        pool.submit(Box::new(pool::Write { work, answer }));
        answered(receiver).await
    }

    pub(crate) async fn read<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        self.foreground
            .submit(Box::new(pool::Read { work, answer }));
        answered(receiver).await
    }

    pub(crate) async fn read_long<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&ReadTransaction<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (answer, receiver) = oneshot::channel();
        self.long.submit(Box::new(pool::Read { work, answer }));
        answered(receiver).await
    }

    /// Asks for a row, at once; the row comes later.
    pub(crate) fn row<T, F>(
        &self,
        sql: &'static str,
        params: &[&dyn ToValue],
        read: F,
    ) -> impl Future<Output = Result<Option<T>>> + use<T, F>
    where
        F: FnOnce(&Row<'_>) -> Result<T>,
    {
        crate::statements::count();
        let receiver = self.lookups.ask(sql, params);
        async move {
            let found = receiver.await.unwrap_or(Err(Error::Stopped))?;
            found.map(|row| read(&Row::postgres(&row))).transpose()
        }
    }
}

async fn answered<T, E: From<Error>>(receiver: oneshot::Receiver<Result<T, E>>) -> Result<T, E> {
    receiver
        .await
        .unwrap_or_else(|_| Err(Error::Stopped.into()))
}
