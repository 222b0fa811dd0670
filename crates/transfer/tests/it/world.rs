//! Copies as the tests start them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use landfall_transfer::{
    Access, Error, Event, Keychain, Limits, Outcome, Patience, Report, Request, Selection, Watch,
    plan,
};

/// Who remembers the notes, and nothing else.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) Mutex<Vec<String>>);

impl Watch for Notes {
    fn event(&self, event: Event<'_>) {
        if let Event::Note(text) = event {
            self.0
                .lock()
                .expect("no test panics with it")
                .push(text.to_owned());
        }
    }
}

/// Small limits and little patience.
pub(crate) fn access() -> Access {
    Access {
        keychain: Keychain::of_files([]),
        limits: Limits {
            manifest: 64 << 10,
            config: 64 << 10,
            index: 64 << 10,
            blob: 1 << 30,
            pages: 20,
            names: 100,
            redirects: 3,
            manifests: 50,
            depth: 4,
            entries: 100,
            unpacked: 4 << 20,
            breaks: 5,
        },
        patience: Patience {
            attempts: 3,
            first: Duration::from_millis(5),
            longest: Duration::from_secs(2),
            silence: Duration::from_secs(2),
        },
        ..Access::default()
    }
}

pub(crate) fn request(source: &str, destination: &str) -> Request {
    Request {
        source: source.parse().expect("a place"),
        destination: destination.parse().expect("a place"),
        source_access: access(),
        destination_access: access(),
        selection: Selection::default(),
        platform: None,
        referrers: false,
        jobs: 4,
    }
}

/// Plans and copies.
pub(crate) async fn run(request: Request) -> Result<Report, Error> {
    Ok(plan(request).await?.run(Arc::new(Notes::default())).await)
}

/// Copies, and nothing may fail.
pub(crate) async fn copy(source: &str, destination: &str) -> Report {
    succeed(request(source, destination)).await
}

pub(crate) async fn succeed(request: Request) -> Report {
    let report = run(request).await.expect("a plan");
    assert_eq!(report.count(Outcome::Failed), 0, "{report:?}");
    report
}

/// Why a copy fails; it has to.
pub(crate) async fn fail(request: Request) -> String {
    let error = match run(request).await {
        Err(error) => error.to_string(),
        Ok(report) => {
            let mut errors = report.images.iter().filter_map(|image| image.error.clone());
            errors
                .next()
                .unwrap_or_else(|| panic!("nothing failed: {report:?}"))
        }
    };
    assert!(
        !error.contains('\n') && !error.ends_with('.'),
        "no sentence: {error}"
    );
    error
}

/// As [`fail`], of a plain copy.
pub(crate) async fn refuse(source: &str, destination: &str) -> String {
    fail(request(source, destination)).await
}

pub(crate) fn assert_says(error: &str, parts: &[&str]) {
    for part in parts {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
}
