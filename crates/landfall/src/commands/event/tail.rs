//! `landfall event tail`: a stream that comes back by itself.

use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::Value;

use super::{sse::Reader, what};
use crate::{
    cli::Format,
    client::Client,
    output::{self, text, time},
};

/// The pauses between two tries to come back.
const PAUSES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(250)..=Duration::from_secs(5);
/// How long nothing may come: the server sends something every fifteen seconds.
const SILENCE: Duration = Duration::from_secs(45);

/// How a try to open the stream went.
enum Opened {
    Stream(Response),
    /// The position is no longer kept, as this sentence says.
    Gone(String),
    /// It may go better later.
    Later(anyhow::Error),
}

/// Prints events until it is stopped.
pub(super) async fn run(
    client: &Client,
    filter: &[(&str, String)],
    from: Option<u64>,
    format: Format,
) -> Result<()> {
    let mut last = from;
    let mut pause = *PAUSES.start();
    // Before it has worked once, what goes wrong is told and ends it.
    let mut worked = false;
    let mut told = false;
    loop {
        match open(client, filter, last).await? {
            Opened::Stream(mut stream) => {
                worked = true;
                if told {
                    output::warn("connected again");
                }
                (told, pause) = (false, *PAUSES.start());
                follow(&mut stream, &mut last, format).await;
            }
            Opened::Gone(sentence) => {
                output::warn(&format!("warning: {sentence}"));
                last = Some(0);
            }
            Opened::Later(error) if !worked => return Err(error),
            Opened::Later(error) => {
                if !told {
                    output::warn(&format!("{error}; trying again"));
                }
                told = true;
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(*PAUSES.end());
            }
        }
    }
}

async fn open(client: &Client, filter: &[(&str, String)], last: Option<u64>) -> Result<Opened> {
    let query: Vec<_> = filter
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let mut request = client
        .request(Method::GET, &["events"], &query)
        .header(header::ACCEPT, "text/event-stream");
    if let Some(last) = last {
        request = request.header("Last-Event-ID", last.to_string());
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(error) => return Ok(Opened::Later(client.unreached(error))),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(Opened::Stream(response));
    }
    if status == StatusCode::GONE {
        let problem: Value = response.json().await.unwrap_or_default();
        return Ok(Opened::Gone(text(&problem, "detail")));
    }
    let is_passing = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    match client.refused(response).await {
        Err(error) if is_passing => Ok(Opened::Later(error)),
        refused => refused.map(Opened::Stream),
    }
}

/// Prints what comes until the stream ends, and notes how far it came.
async fn follow(stream: &mut Response, last: &mut Option<u64>, format: Format) {
    let mut reader = Reader::default();
    loop {
        let Ok(Ok(Some(piece))) = tokio::time::timeout(SILENCE, stream.chunk()).await else {
            return;
        };
        for message in reader.take(&piece) {
            if !message.data.is_empty()
                && let Err(error) = print(&message.data, format)
            {
                output::warn(&format!("warning: {error:#}"));
            }
            *last = message.id.or(*last);
        }
    }
}

fn print(data: &str, format: Format) -> Result<()> {
    if format == Format::Json {
        output::line(data);
        return Ok(());
    }
    let event: Value = serde_json::from_str(data).context("an event can't be read")?;
    let parts = [
        time(&event, "time"),
        format!("{:<18}", text(&event, "kind")),
        text(&event, "subject"),
        what(&event),
    ];
    output::line(parts.join("  ").trim_end());
    Ok(())
}
