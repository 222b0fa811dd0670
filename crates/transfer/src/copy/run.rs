//! A plan is carried out.

use std::{collections::HashMap, sync::Arc};

use futures_util::{StreamExt, stream};

use super::{
    Event, ImageReport, Item, Outcome, Plan, Report, Tally, Watch, blob::Blobs, image::ImageCopy,
};
use crate::Destination;

/// How many images are on their way at once, whatever the number of layers.
const WIDTH: usize = 4;

impl Plan {
    /// Copies everything. One image that fails keeps no other from being
    /// copied. When this is dropped before its end, whatever is named at the
    /// destination is whole, and the same copy can be started again.
    pub async fn run(self, watch: Arc<dyn Watch>) -> Report {
        let blobs = Blobs::new(self.jobs, Arc::clone(&watch), self.limits.clone());
        let mut report = Report {
            images: self.failed.clone(),
            content: Tally::default(),
        };
        let mut copied = stream::iter(self.items.clone())
            .map(|item| self.image(item, &blobs))
            .buffer_unordered(self.jobs.clamp(1, WIDTH));
        let mut ended: Vec<(usize, ImageReport)> = Vec::new();
        while let Some((address, image)) = copied.next().await {
            report.content += image.content;
            watch.event(Event::ImageEnds(&image));
            ended.push((address, image));
        }
        drop(copied);
        self.finish(&mut ended).await;
        report
            .images
            .extend(ended.into_iter().map(|(_, image)| image));
        report
    }

    async fn image(&self, item: Item, blobs: &Blobs) -> (usize, ImageReport) {
        let copy = ImageCopy::new(blobs, &item.source, &item.destination, &self.limits);
        let name = item.name.as_deref();
        let run = copy.run(&item.wanted, name, self.platform.as_ref(), self.referrers);
        let ended = run.await;
        let (digest, outcome, error) = match ended {
            Ok((digest, outcome)) => (Some(digest), outcome, None),
            Err(error) => (None, Outcome::Failed, Some(error.to_string())),
        };
        let report = ImageReport {
            source: item.from.clone(),
            destination: item.to.clone(),
            digest,
            outcome,
            error,
            content: copy.tally(),
        };
        (address(&item.destination), report)
    }

    /// Makes visible what is not yet, where everything that belongs to it got
    /// there.
    async fn finish(&self, ended: &mut [(usize, ImageReport)]) {
        let destinations = self.items.iter().map(|item| &item.destination);
        let destinations: HashMap<usize, &Arc<dyn Destination>> =
            destinations.map(|each| (address(each), each)).collect();
        for (address, destination) in destinations {
            let mut images = ended.iter_mut().filter(|(other, _)| *other == address);
            if images.any(|(_, image)| image.outcome == Outcome::Failed) {
                continue;
            }
            if let Err(error) = Arc::clone(destination).finish().await {
                for (_, image) in ended.iter_mut().filter(|(other, _)| *other == address) {
                    image.outcome = Outcome::Failed;
                    image.error = Some(error.to_string());
                }
            }
        }
    }
}

/// Tells destinations apart.
fn address(destination: &Arc<dyn Destination>) -> usize {
    Arc::as_ptr(destination).cast::<()>() as usize
}
