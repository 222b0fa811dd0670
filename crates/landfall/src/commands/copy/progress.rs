//! What is seen while images are copied: a bar for each layer on a terminal,
//! a line for each image elsewhere.

use std::{
    collections::HashMap,
    io::{IsTerminal, stderr},
    sync::{Mutex, MutexGuard, PoisonError},
};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use landfall_oci::Digest;
use landfall_transfer::{Event, ImageReport, Outcome, Watch};

use super::{summary::line_of, word};
use crate::{
    cli::Format,
    output::{self, short_digest},
};

const LAYER: &str =
    "{prefix} {bar:18} {decimal_bytes:>9} of {decimal_total_bytes:<9} {decimal_bytes_per_sec}";
const ALL: &str = "{pos} of {len} images";

/// Draws, or prints.
pub(super) struct Progress {
    bars: MultiProgress,
    all: ProgressBar,
    is_terminal: bool,
    format: Format,
    /// Whether each image gets a line of its own.
    has_many: bool,
    /// The layers that are on their way. Held for look-ups, never while
    /// something is awaited.
    layers: Mutex<HashMap<Digest, ProgressBar>>,
}

impl Progress {
    pub(super) fn new(images: usize, format: Format) -> Self {
        let is_terminal = stderr().is_terminal();
        let bars = MultiProgress::new();
        let all = if is_terminal && images > 1 {
            bars.add(ProgressBar::new(images as u64).with_style(style(ALL)))
        } else {
            ProgressBar::hidden()
        };
        Self {
            bars,
            all,
            is_terminal,
            format,
            has_many: images > 1,
            layers: Mutex::default(),
        }
    }

    /// Takes the bars away.
    pub(super) fn clear(&self) {
        self.all.finish_and_clear();
        let _ = self.bars.clear();
    }

    fn layers(&self) -> MutexGuard<'_, HashMap<Digest, ProgressBar>> {
        self.layers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, digest: &Digest, size: u64) {
        let bar = ProgressBar::new(size).with_style(style(LAYER));
        let bar = bar.with_prefix(short_digest(&digest.to_string()));
        let bar = self.bars.insert_from_back(usize::from(self.has_many), bar);
        if let Some(old) = self.layers().insert(*digest, bar) {
            old.finish_and_clear();
        }
    }

    fn image(&self, image: &ImageReport) {
        self.all.inc(1);
        // One image alone is told of at the end.
        if !self.has_many {
            return;
        }
        let line = line_of(image);
        match (self.format, image.outcome) {
            (Format::Json, _) | (_, Outcome::Failed) => {
                let text = format!("{} {}", word(image.outcome), line);
                self.bars.suspend(|| output::warn(&text));
            }
            (Format::Table, _) => {
                let text = format!("{} {}", word(image.outcome), line);
                self.bars.suspend(|| output::line(&text));
            }
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl Watch for Progress {
    fn event(&self, event: Event<'_>) {
        match event {
            Event::ImageEnds(image) => self.image(image),
            Event::Note(text) => self.bars.suspend(|| output::warn(&format!("note: {text}"))),
            _ if !self.is_terminal => {}
            Event::BlobBegins { digest, size } => self.begin(digest, size),
            Event::BlobAt { digest, at } => {
                if let Some(bar) = self.layers().get(digest) {
                    bar.set_position(at);
                }
            }
            Event::BlobMoves { digest, bytes } => {
                if let Some(bar) = self.layers().get(digest) {
                    bar.inc(bytes);
                }
            }
            Event::BlobEnds { digest, .. } => {
                if let Some(bar) = self.layers().remove(digest) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}
