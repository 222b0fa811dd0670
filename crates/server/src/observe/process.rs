//! The process as the kernel sees it (proc(5)), under the names that
//! Prometheus' own clients use.

use std::{fmt::Write as _, fs, path::Path};

use rustix::process::{Resource, getrlimit};

/// Ticks of `/proc/<pid>/stat` in a second: part of the ABI, always 100.
const TICKS_PER_SECOND: f64 = 100.0;

#[expect(
    clippy::cast_precision_loss,
    reason = "a limit of open files above 2^53 may be shown rounded"
)]
/// Appends the process metrics to a text exposition. What can't be read is
/// left out.
pub(super) fn render_into(text: &mut String) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let metrics = [
        (
            "process_resident_memory_bytes",
            "gauge",
            "Resident memory in bytes.",
            status_field(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024.0),
        ),
        (
            "process_threads",
            "gauge",
            "Threads of the process.",
            status_field(&status, "Threads:"),
        ),
        (
            "process_open_fds",
            "gauge",
            "Open file descriptors.",
            count_entries(Path::new("/proc/self/fd")),
        ),
        (
            "process_max_fds",
            "gauge",
            "Most file descriptors the process may open.",
            getrlimit(Resource::Nofile).current.map(|most| most as f64),
        ),
        (
            "process_cpu_seconds_total",
            "counter",
            "User and system CPU time in seconds.",
            cpu_seconds(&stat),
        ),
    ];
    for (name, kind, help, value) in metrics {
        if let Some(value) = value {
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
            );
        }
    }
}

/// The number after a label of `/proc/self/status`.
fn status_field(status: &str, label: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// User and system time of `/proc/self/stat`. The name in parentheses may
/// hold anything, so counting begins after the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// How many descriptors are open, without the one that counts them.
fn count_entries(folder: &Path) -> Option<f64> {
    let entries = fs::read_dir(folder).ok()?.count();
    u32::try_from(entries.saturating_sub(1)).ok().map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_metric_has_a_value_here() {
        let mut text = String::new();
        render_into(&mut text);
        for name in [
            "process_resident_memory_bytes",
            "process_threads",
            "process_open_fds",
            "process_cpu_seconds_total",
        ] {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
                .unwrap_or_else(|| panic!("{name} is missing"));
            assert!(line.parse::<f64>().expect("a number") >= 0.0, "{name}");
        }
    }

    #[test]
    fn a_program_name_with_spaces_does_not_shift_the_fields() {
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 1 0";
        assert_eq!(cpu_seconds(stat), Some(2.0));
    }
}
