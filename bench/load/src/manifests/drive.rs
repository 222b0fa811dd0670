//! The loop that drives all connections.

use std::{
    collections::VecDeque,
    num::NonZeroU64,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll, poll},
    io::Errno,
};

use super::{
    Options, Report,
    channel::{Channel, Waiting},
    moves::History,
    plan::Request,
};
use crate::{Error, Result, percentiles::Latencies, wire};

/// Where the digest of a manifest stands.
const DIGEST: &str = "docker-content-digest";
/// A server that lets all connections wait for so long has failed.
const SILENCE: Duration = Duration::from_mins(1);

/// All connections, and what is asked on them.
pub(super) struct Driver {
    channels: Vec<Channel>,
    epoll: OwnedFd,
    /// For each server, the requests with its name in them.
    requests: Vec<Vec<Request>>,
    order: Box<dyn Iterator<Item = usize>>,
    history: Option<Arc<History>>,
    may_fail: bool,
    latencies: Latencies,
    report: Report,
}

impl Driver {
    /// Connects. `requests` are those of each server, `order` says by index
    /// which are sent; a closed loop ends with it.
    pub(super) fn connect(
        requests: Vec<Vec<Request>>,
        order: Box<dyn Iterator<Item = usize>>,
        options: &Options,
        history: Option<Arc<History>>,
    ) -> Result<Self> {
        let polling = |error: Errno| Error::io("polling")(error.into());
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(polling)?;
        let channels = (0..options.connections)
            .map(|index| {
                let server = options.servers[index % options.servers.len()];
                let channel = Channel::connect(server)?;
                let data = epoll::EventData::new_u64(index as u64);
                epoll::add(&epoll, channel.stream(), data, epoll::EventFlags::IN)
                    .map_err(polling)?;
                Ok(channel)
            })
            .collect::<Result<Vec<Channel>>>()?;
        Ok(Self {
            channels,
            epoll,
            requests,
            order,
            history,
            may_fail: options.may_fail,
            latencies: Latencies::default(),
            report: Report::default(),
        })
    }

    /// Makes the load. `cpu_seconds` is asked when it begins to count and when
    /// it ends.
    pub(super) fn run(
        &mut self,
        options: &Options,
        cpu_seconds: impl Fn() -> Result<f64>,
    ) -> Result<Report> {
        if !options.warm_up.is_zero() {
            self.drive(options, options.warm_up)?;
        }
        self.latencies = Latencies::default();
        self.report = Report::default();
        let cpu_before = cpu_seconds()?;
        let took = self.drive(options, options.duration)?;
        let latencies = std::mem::take(&mut self.latencies);
        let requests = latencies.count() as u64;
        Ok(Report {
            requests,
            seconds: took.as_secs_f64(),
            requests_per_second: requests as f64 / took.as_secs_f64(),
            latency: latencies.percentiles(),
            server_cpu_seconds: cpu_seconds()? - cpu_before,
            ..std::mem::take(&mut self.report)
        })
    }

    /// One stretch of load: requests are sent for `duration`, and all of them
    /// are answered when it returns. Answers how long that took.
    fn drive(&mut self, options: &Options, duration: Duration) -> Result<Duration> {
        let started = Instant::now();
        let end = started + duration;
        match options.rate {
            None => self.closed(started, end)?,
            Some(rate) => self.open(started, end, rate)?,
        }
        Ok(started.elapsed())
    }

    fn closed(&mut self, started: Instant, end: Instant) -> Result<()> {
        let mut running = 0;
        for index in 0..self.channels.len() {
            running += usize::from(self.send(index, started)?);
        }
        let mut ready = Vec::with_capacity(self.channels.len());
        while running > 0 {
            self.wait(&mut ready)?;
            for index in ready.drain(..) {
                let now = Instant::now();
                if !self.receive(index, now)? {
                    continue;
                }
                let goes_on = now < end && self.send(index, now)?;
                running -= usize::from(!goes_on);
            }
        }
        Ok(())
    }

    fn open(&mut self, started: Instant, end: Instant, rate: f64) -> Result<()> {
        // A sleep ends when it should, and not up to 50 us later.
        let exact = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        exact.map_err(|error| Error::io("setting the timer")(error.into()))?;
        let interval = Duration::from_secs_f64(1.0 / rate);
        let mut idle: VecDeque<usize> = (0..self.channels.len()).collect();
        let mut overdue: VecDeque<Instant> = VecDeque::new();
        let mut next = started;
        let mut ready = Vec::with_capacity(self.channels.len());
        while next < end || !overdue.is_empty() || idle.len() < self.channels.len() {
            let now = Instant::now();
            while next <= now && next < end {
                overdue.push_back(next);
                next += interval;
            }
            while let (Some(due), Some(index)) = (overdue.front(), idle.front()) {
                if self.send(*index, *due)? {
                    idle.pop_front();
                }
                overdue.pop_front();
            }
            let until = if next < end { next } else { now + SILENCE };
            if !self.sleep(until)? {
                continue;
            }
            self.wait(&mut ready)?;
            for index in ready.drain(..) {
                if self.receive(index, Instant::now())? {
                    idle.push_back(index);
                }
            }
        }
        Ok(())
    }

    /// Sends the next request; `false` if there is none.
    fn send(&mut self, index: usize, due: Instant) -> Result<bool> {
        let Some(request) = self.order.next() else {
            return Ok(false);
        };
        let waiting = Waiting {
            request,
            due,
            // Read before the request is written: what was acknowledged by
            // now, the answer must know.
            floor: self
                .history
                .as_ref()
                .map_or(0, |history| history.acknowledged()),
        };
        let text = &self.requests[index % self.requests.len()][request].text;
        self.channels[index].send(text, waiting)?;
        Ok(true)
    }

    /// Reads from a connection; `true` when its answer is whole.
    fn receive(&mut self, index: usize, now: Instant) -> Result<bool> {
        let requests = &self.requests[0];
        let first_line = |request: usize| {
            let text = String::from_utf8_lossy(&requests[request].text);
            text.lines().next().unwrap_or_default().to_owned()
        };
        let Some((waiting, head)) = self.channels[index].receive(first_line, self.may_fail)? else {
            return Ok(false);
        };
        self.latencies.record(now.duration_since(waiting.due));
        let Some(head) = head else {
            self.report.failed += 1;
            return Ok(true);
        };
        let digest = wire::header(head, DIGEST).unwrap_or_default();
        match (&requests[waiting.request].digest, &self.history) {
            (Some(expected), _) if expected != digest => {
                return Err(Error::Wrong {
                    request: first_line(waiting.request),
                    why: format!("it is `{digest}`"),
                });
            }
            (None, Some(history)) => {
                self.report.checked += 1;
                self.report.stale += u64::from(history.is_stale(digest, waiting.floor));
            }
            _ => {}
        }
        Ok(true)
    }

    /// Waits until connections can be read.
    fn wait(&self, ready: &mut Vec<usize>) -> Result<()> {
        let mut events = Vec::with_capacity(self.channels.len());
        let silence = Timespec {
            tv_sec: SILENCE.as_secs() as i64,
            tv_nsec: 0,
        };
        let buffer = rustix::buffer::spare_capacity(&mut events);
        match epoll::wait(&self.epoll, buffer, Some(&silence)) {
            Ok(0) => {
                return Err(Error::Usage(format!(
                    "no server has answered for {} s",
                    SILENCE.as_secs()
                )));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Error::io("polling")(error.into())),
        }
        ready.extend(events.iter().map(|event| event.data.u64() as usize));
        Ok(())
    }

    /// Sleeps until `until`, or until a connection can be read: then `true`.
    fn sleep(&self, until: Instant) -> Result<bool> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut polled = [PollFd::new(&self.epoll, PollFlags::IN)];
        match poll(&mut polled, Some(&timeout)) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(Error::io("polling")(error.into())),
        }
    }
}
