//! What the operating system has written down about a server: CPU seconds and
//! memory of a process and all below it.

use std::{collections::BTreeMap, fs};

use crate::{Error, Result};

/// What a tree of processes has used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// CPU seconds, of user and system together.
    pub cpu_seconds: f64,
    /// The sum of the processes' peaks of resident memory, in bytes.
    pub peak_bytes: u64,
}

/// One line of `/proc/PID/stat`.
struct Process {
    parent: u32,
    ticks: u64,
}

/// What the process and its descendants have used up to now.
pub fn used(root: u32) -> Result<Used> {
    let processes = processes()?;
    if !processes.contains_key(&root) {
        return Err(Error::Usage(format!("there is no process {root}")));
    }
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let mut total = Used::default();
    for (id, process) in &processes {
        if descends(&processes, *id, root) {
            total.cpu_seconds += process.ticks as f64 / ticks_per_second;
            total.peak_bytes += peak(*id);
        }
    }
    Ok(total)
}

fn processes() -> Result<BTreeMap<u32, Process>> {
    let listing = fs::read_dir("/proc").map_err(Error::io("listing processes"))?;
    let ids = listing
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids
        .filter_map(|id| {
            let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            Some((id, parse_stat(&text)?))
        })
        .collect())
}

/// The name in parentheses may hold anything, so the fields are counted after
/// the last one.
fn parse_stat(text: &str) -> Option<Process> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(number(1)?).ok()?,
        ticks: number(11)? + number(12)?,
    })
}

fn descends(processes: &BTreeMap<u32, Process>, mut id: u32, root: u32) -> bool {
    loop {
        if id == root {
            return true;
        }
        match processes.get(&id) {
            Some(process) if process.parent != 0 => id = process.parent,
            _ => return false,
        }
    }
}

/// `VmHWM` of a process; zero if it has gone.
fn peak(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_a_name_with_spaces_and_parentheses() {
        let line = "7 (a ) b) S 3 7 7 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 1 0 1 1 1";
        let process = parse_stat(line).unwrap();
        assert_eq!((process.parent, process.ticks), (3, 175));
    }

    #[test]
    fn work_of_this_process_shows_in_its_cpu_seconds_and_memory() {
        let me = std::process::id();
        let before = used(me).unwrap();
        assert!(before.peak_bytes > 0);
        let mut number = 1_u64;
        while used(me).unwrap().cpu_seconds < before.cpu_seconds + 0.05 {
            for _ in 0..1_000_000 {
                number = std::hint::black_box(number.wrapping_mul(31) ^ 7);
            }
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(used(u32::MAX).is_err());
    }
}
