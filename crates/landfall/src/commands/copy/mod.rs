//! `landfall image copy`: images between registries, OCI layouts, archives
//! and directories. It runs here, not in the server, and speaks the protocol
//! that every registry speaks.

mod arguments;
mod progress;
mod summary;

use std::{process::ExitCode, sync::Arc};

use anyhow::{Context, Result, bail};
use landfall_transfer::{
    Access, Home, Keychain, Login, Outcome, Pattern, Place, Plan, Report, Request, Selection,
};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    cli::{Connection, Format},
    client::Client,
    output,
};

pub(crate) use arguments::{Arguments, EXAMPLES, HELP};

/// How a program ends that was asked to by Ctrl-C, as shells see it.
const INTERRUPTED: i32 = 130;

/// The most of a list of repositories, in bytes.
const LIST: u64 = 64 << 20;

pub(super) async fn run(
    connection: &Connection,
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode> {
    let mut terminated = signal(SignalKind::terminate())?;
    let work = copy(connection, client, arguments, format);
    tokio::select! {
        ended = work => ended,
        _ = tokio::signal::ctrl_c() => interrupted(),
        _ = terminated.recv() => interrupted(),
    }
}

/// Ends at once. Everything that has a name at the destination is whole.
fn interrupted() -> ! {
    output::warn("stopped; the same command goes on where this one was");
    std::process::exit(INTERRUPTED)
}

async fn copy(
    connection: &Connection,
    client: &Client,
    arguments: Arguments,
    format: Format,
) -> Result<ExitCode> {
    let is_dry = arguments.dry_run;
    let plan = landfall_transfer::plan(request(connection, client, arguments)?).await?;
    if is_dry {
        return Ok(summary::plan(&plan, format));
    }
    let is_one = plan.items().len() == 1 && plan.failed().is_empty();
    let report = carry_out(plan, format).await;
    if let ([only], true, Format::Table) = (&report.images[..], is_one, format)
        && let Some(error) = &only.error
    {
        bail!("{error}");
    }
    Ok(summary::report(&report, format))
}

async fn carry_out(plan: Plan, format: Format) -> Report {
    let watch = Arc::new(progress::Progress::new(plan.items().len(), format));
    let report = plan.run(Arc::clone(&watch) as _).await;
    watch.clear();
    report
}

fn request(connection: &Connection, client: &Client, arguments: Arguments) -> Result<Request> {
    let mut certificates = Vec::new();
    if let Some(path) = &connection.ca_certificate {
        certificates.push(std::fs::read(path).with_context(|| path.display().to_string())?);
    }
    let login = client.name_and_password();
    let home = Home {
        url: client.base().clone(),
        login: login.map(|(name, password)| Login::new(name, password)),
        hint: "run `landfall login`, or give the password in LANDFALL_PASSWORD".to_owned(),
    };
    let access = |login: Option<Login>, plain_http: bool| Access {
        home: Some(home.clone()),
        login,
        plain_http,
        certificates: certificates.clone(),
        keychain: Keychain::of_this_user(),
        ..Access::default()
    };
    let patterns = |given: &[String]| -> Result<Vec<Pattern>> {
        given.iter().map(|text| Ok(text.parse()?)).collect()
    };
    let repositories = arguments.from_file.as_deref();
    let repositories = repositories.map(|path| {
        let text = if path.as_os_str() == "-" {
            read(std::io::stdin())
        } else {
            std::fs::File::open(path).and_then(read)
        };
        let text = text.with_context(|| format!("`{}` can't be read", path.display()))?;
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        Ok::<_, anyhow::Error>(lines.map(str::to_owned).collect())
    });
    Ok(Request {
        source: arguments.source.parse::<Place>()?,
        destination: arguments.destination.parse::<Place>()?,
        source_access: access(arguments.src_creds, arguments.src_plain_http),
        destination_access: access(arguments.dst_creds, arguments.dst_plain_http),
        selection: Selection {
            all_tags: arguments.all_tags,
            tags: patterns(&arguments.tags)?,
            exclude: patterns(&arguments.exclude)?,
            repositories: repositories.transpose()?,
        },
        platform: arguments.platform,
        referrers: arguments.referrers,
        jobs: usize::from(arguments.jobs),
    })
}

fn read(from: impl std::io::Read) -> std::io::Result<String> {
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::io::Read::take(from, LIST), &mut text)?;
    Ok(text)
}

/// 1 where something failed.
fn code(failed: usize) -> ExitCode {
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// One word for how it ended.
const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Copied => "copied",
        Outcome::Unchanged => "unchanged",
        Outcome::Failed => "failed",
    }
}
