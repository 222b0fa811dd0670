//! `landfall backup`.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use reqwest::{Method, Response};
use serde_json::json;

use crate::{cli::Format, client::Client, output};

pub(super) async fn run(client: &Client, file: &Path, format: Format) -> Result<()> {
    let response = client.send(Method::POST, &["backups"], &[], None).await?;
    if file == Path::new("-") {
        return download(response, &mut io::stdout()).await.map(drop);
    }
    // Written beside its name and renamed: a backup that broke off never
    // takes the place of an older one that is whole.
    let partial = file.with_extension("partial");
    let unwritable = || format!("`{}` can't be written", file.display());
    let mut written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .with_context(unwritable)?;
    let size = download(response, &mut written).await?;
    written.sync_all().with_context(unwritable)?;
    std::fs::rename(&partial, file).with_context(unwritable)?;
    let directory = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new("."))).and_then(|d| d.sync_all())?;
    match format {
        Format::Json => output::json(&json!({ "file": file, "size": size })),
        Format::Table => {
            let (file, size) = (file.display(), indicatif::DecimalBytes(size));
            output::line(&format!("saved {file} ({size}); copy the blobs now"));
        }
    }
    Ok(())
}

async fn download(mut response: Response, to: &mut impl Write) -> Result<u64> {
    let bar =
        output::progress("{bar:30} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}");
    let size = response.content_length();
    bar.set_length(size.unwrap_or_default());
    let mut received = 0;
    while let Some(chunk) = response.chunk().await.context("the backup broke off")? {
        to.write_all(&chunk)?;
        received += chunk.len() as u64;
        bar.set_position(received);
    }
    to.flush()?;
    bar.finish_and_clear();
    Ok(received)
}
