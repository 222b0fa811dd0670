//! The Prometheus metrics of the process.
//!
//! Everything that is counted with the `metrics` macros anywhere in the
//! process appears in [`Metrics::render`]. What each request touches is looked
//! up once and kept in a table, so that a request costs no look-up by name.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use http::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::{process, route::Route};

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often samples are folded into their histograms; between two times they
/// take eight bytes each.
const UPKEEP: Duration = Duration::from_secs(2);

/// The upper ends of the duration histogram's buckets, in seconds.
const BUCKETS: [f64; 17] = [
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    15.0, 60.0, 300.0,
];

const REQUESTS: &str = "landfall_http_requests_total";
const DURATION: &str = "landfall_http_request_duration_seconds";
const BYTES: &str = "landfall_http_response_bytes_total";
const IN_FLIGHT: &str = "landfall_http_requests_in_flight";
const CONNECTIONS: &str = "landfall_connections";
const STATEMENTS: &str = "landfall_database_statements_total";

/// What tells of the store as it is on the disk, and not of what callers see:
/// from it, one could learn which content others have. For the operator only.
const PHYSICAL: [&str; 3] = [
    "landfall_gc_blobs_total",
    "landfall_gc_freed_bytes_total",
    STATEMENTS,
];

/// The methods that have a label value of their own.
const METHODS: [&str; 7] = ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "other"];

/// The status codes that have a label value of their own: what the registry
/// and its API answer.
const STATUSES: [(u16, &str); 31] = [
    (200, "200"),
    (201, "201"),
    (202, "202"),
    (204, "204"),
    (206, "206"),
    (301, "301"),
    (303, "303"),
    (304, "304"),
    (307, "307"),
    (400, "400"),
    (401, "401"),
    (403, "403"),
    (404, "404"),
    (405, "405"),
    (406, "406"),
    (408, "408"),
    (409, "409"),
    (410, "410"),
    (411, "411"),
    (412, "412"),
    (413, "413"),
    (415, "415"),
    (416, "416"),
    (422, "422"),
    (429, "429"),
    (499, "499"),
    (500, "500"),
    (501, "501"),
    (503, "503"),
    (507, "507"),
    (0, "other"),
];

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Another recorder was installed first.
    #[error("another metrics recorder is installed in this process")]
    Taken,
    /// The settings of the recorder are wrong.
    #[error("can't build the metrics recorder")]
    Build(#[source] metrics_exporter_prometheus::BuildError),
}

/// The process's metrics. Clones are the same metrics.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    handle: PrometheusHandle,
    in_flight: AtomicI64,
    in_flight_gauge: Gauge,
    routes: [OfRoute; Route::COUNT],
}

#[derive(Default)]
struct OfRoute {
    bytes: OnceLock<Counter>,
    methods: [OfMethod; METHODS.len()],
}

#[derive(Default)]
struct OfMethod {
    duration: OnceLock<Histogram>,
    statuses: [OnceLock<Counter>; STATUSES.len()],
}

impl Metrics {
    /// Installs the recorder of this process, once; later calls give the same
    /// metrics.
    pub fn install() -> Result<Self, MetricsError> {
        static INSTALLED: Mutex<Option<Metrics>> = Mutex::new(None);
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(metrics) = &*installed {
            return Ok(metrics.clone());
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Full(DURATION.to_owned()), &BUCKETS)
            .map_err(MetricsError::Build)?
            .build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder).map_err(|_| MetricsError::Taken)?;
        describe();
        fold_in_background(handle.clone());
        let metrics = Self(Arc::new(Inner {
            handle,
            in_flight: AtomicI64::new(0),
            in_flight_gauge: metrics::gauge!(IN_FLIGHT),
            routes: std::array::from_fn(|_| OfRoute::default()),
        }));
        *installed = Some(metrics.clone());
        Ok(metrics)
    }

    /// All metrics in Prometheus' text format, with those of the process.
    #[expect(clippy::cast_precision_loss, reason = "requests in flight are few")]
    pub fn render(&self) -> String {
        let in_flight = self.0.in_flight.load(Relaxed);
        self.0.in_flight_gauge.set(in_flight as f64);
        metrics::counter!(STATEMENTS).absolute(landfall_database::statements());
        let mut text = self.0.handle.render();
        process::render_into(&mut text);
        text
    }

    /// What of [`Metrics::render`] anybody may know: all but what is physical.
    pub fn render_public(&self) -> String {
        let text = self.render();
        let lines = text.split_inclusive('\n');
        lines.filter(|line| !is_physical(line)).collect()
    }

    pub(super) fn request_began(&self) {
        self.0.in_flight.fetch_add(1, Relaxed);
    }

    pub(super) fn request_ended(
        &self,
        route: Route,
        method: &Method,
        status: u16,
        duration: Duration,
        bytes: u64,
    ) {
        self.0.in_flight.fetch_sub(1, Relaxed);
        let method = method_index(method);
        let status = status_index(status);
        let of_route = &self.0.routes[route as usize];
        let of_method = &of_route.methods[method];
        of_method.statuses[status]
            .get_or_init(|| {
                metrics::counter!(
                    REQUESTS,
                    "route" => route.template(),
                    "method" => METHODS[method],
                    "status" => STATUSES[status].1,
                )
            })
            .increment(1);
        of_method
            .duration
            .get_or_init(|| {
                metrics::histogram!(
                    DURATION,
                    "route" => route.template(),
                    "method" => METHODS[method],
                )
            })
            .record(duration);
        if bytes > 0 {
            of_route
                .bytes
                .get_or_init(|| metrics::counter!(BYTES, "route" => route.template()))
                .increment(bytes);
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// Whether a line, a sample or a comment, is of one of [`PHYSICAL`].
fn is_physical(line: &str) -> bool {
    let comment = line
        .strip_prefix("# HELP ")
        .or_else(|| line.strip_prefix("# TYPE "));
    let series = comment.unwrap_or(line);
    let end = series.find([' ', '{']).unwrap_or(series.len());
    PHYSICAL.contains(&series[..end].trim_end())
}

fn describe() {
    metrics::describe_counter!(REQUESTS, "Requests by route, method and status.");
    metrics::describe_histogram!(
        DURATION,
        metrics::Unit::Seconds,
        "From the request's head to the answer's last byte, in seconds."
    );
    metrics::describe_counter!(BYTES, "Bytes of answers' bodies by route.");
    metrics::describe_counter!(STATEMENTS, "SQL statements that were run.");
    metrics::describe_gauge!(IN_FLIGHT, "Requests without a complete answer.");
    metrics::describe_gauge!(CONNECTIONS, "Open client connections.");
    metrics::gauge!(CONNECTIONS).set(0.0);
}

fn fold_in_background(handle: PrometheusHandle) {
    let folding = thread::Builder::new().name("metrics".to_owned());
    let spawned = folding.spawn(move || {
        loop {
            thread::sleep(UPKEEP);
            handle.run_upkeep();
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread for metrics: samples pile up until they are asked for");
    }
}

fn method_index(method: &Method) -> usize {
    let name = method.as_str();
    METHODS
        .iter()
        .position(|known| *known == name)
        .unwrap_or(METHODS.len() - 1)
}

fn status_index(status: u16) -> usize {
    STATUSES
        .iter()
        .position(|(known, _)| *known == status)
        .unwrap_or(STATUSES.len() - 1)
}

/// The status under which a request is counted whose client left.
pub(super) const CLIENT_LEFT: u16 = 499;

/// Whether an answer of this status is our fault.
pub(super) fn is_our_fault(status: u16) -> bool {
    StatusCode::from_u16(status).is_ok_and(|status| status.is_server_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_shows_in_its_series_only() {
        let metrics = Metrics::install().expect("nothing else is installed");
        metrics.request_began();
        metrics.request_ended(
            Route::Referrers,
            &Method::GET,
            206,
            Duration::from_millis(3),
            77,
        );
        let text = metrics.render();
        let labels = r#"route="/v2/{name}/referrers/{digest}""#;
        for line in [
            format!(r#"{REQUESTS}{{{labels},method="GET",status="206"}} 1"#),
            format!(r#"{DURATION}_bucket{{{labels},method="GET",le="0.0025"}} 0"#),
            format!(r#"{DURATION}_bucket{{{labels},method="GET",le="0.005"}} 1"#),
            format!("{BYTES}{{{labels}}} 77"),
            "process_threads ".to_owned(),
        ] {
            assert!(text.contains(&line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn physical_figures_are_not_public() {
        let metrics = Metrics::install().expect("nothing else is installed");
        metrics::counter!(PHYSICAL[1]).increment(4096);
        let (all, public) = (metrics.render(), metrics.render_public());
        for name in [PHYSICAL[1], STATEMENTS] {
            assert!(all.contains(name), "no {name} in\n{all}");
            assert!(!public.contains(name), "{name} is public:\n{public}");
        }
        assert!(public.contains(CONNECTIONS), "{public}");
        assert!(public.contains("process_threads "), "{public}");
    }

    #[test]
    fn unknown_methods_and_statuses_share_a_series() {
        let purge = Method::from_bytes(b"PURGE").expect("a token");
        assert_eq!(METHODS[method_index(&purge)], "other");
        assert_eq!(STATUSES[status_index(418)].1, "other");
        assert_eq!(STATUSES[status_index(404)].1, "404");
    }
}
