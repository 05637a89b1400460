//! The load: connections that send a request, wait for its answer, and send the next.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use rustix::event::epoll;
use rustix::time::{ClockId, clock_gettime};

use crate::load_connection::{Connection, Step};
use crate::rig::{Due, Token, Tools};
use crate::statistics::Samples;
use crate::timers::Nanoseconds;

/// The time between opening the connections and the first request, in which a server accepts them.
const SETTLE: Duration = Duration::from_millis(20);
/// How long after its end a load waits for answers that are still to come.
const GRACE: Duration = Duration::from_secs(10);

/// A load to send.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Where to send it.
    pub target: SocketAddr,
    /// The whole request, from its first line to the end of its body.
    pub request: Arc<[u8]>,
    /// Whether the answers are server-sent events.
    pub streaming: bool,
    /// How many connections send at the same time.
    pub connections: u32,
    /// The time from the first request of one connection to that of the next.
    pub spacing: Duration,
    /// How long requests are sent before any is counted.
    pub warm_up: Duration,
    /// How long requests that count are sent. Each connection sends at least one.
    pub duration: Duration,
    /// How many requests a connection sends at most.
    pub requests_per_connection: Option<u64>,
    /// Whether the body of the last answer is to be returned.
    pub keep_answer: bool,
}

/// What came of a load. Times are in nanoseconds.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// How many requests were answered, those of the warm-up included.
    pub answered: u64,
    /// How many were answered within the time that counts.
    pub answered_in_time: u64,
    /// From the request that is written to the end of the answer, for those that count.
    pub latencies: Samples<u64>,
    /// From the request that is written to the first chunk, for streams that count.
    pub first_chunks: Samples<u64>,
    /// From one chunk to the next.
    pub gaps: Samples<u64>,
    /// How much longer the time from one chunk to the next was on arrival than it was when the mock sent them; absent
    /// for streams that are not the mock's.
    pub lengthenings: Samples<i64>,
    /// How many requests failed: the connection ended, the status was not 200, or the answer was no answer.
    pub failed: u64,
    /// Why the first of them did.
    pub first_failure: Option<String>,
    /// How many requests had no whole answer 10 s after the end.
    pub unfinished: u64,
    /// Which part of the time the thread of mock and load was at work, from 0 to 1.
    pub busy: f64,
    /// The body of the last answer, when it was to be kept.
    pub answer: Vec<u8>,
}

/// A load in progress.
#[derive(Debug)]
pub(crate) struct Load {
    run: u32,
    workload: Workload,
    report_to: Sender<Outcome>,
    connections: Vec<Connection>,
    active: usize,
    outcome: Outcome,
    began: Nanoseconds,
    began_busy: Duration,
    count_from: Nanoseconds,
    stop_at: Nanoseconds,
    ended: Nanoseconds,
}

impl Load {
    /// Opens the connections and plans their first requests.
    pub(crate) fn begin(workload: Workload, run: u32, report_to: Sender<Outcome>, tools: &mut Tools<'_>) -> Self {
        let mut outcome = Outcome::default();
        let mut connections = Vec::new();
        for index in 0..workload.connections {
            match Connection::open(workload.target, tools, Token::Load { index, run }) {
                Ok(connection) => connections.push(connection),
                Err(failure) => {
                    outcome.failed += 1;
                    outcome.first_failure.get_or_insert(failure);
                    break;
                }
            }
        }
        let began = tools.clock.now();
        let first = began + nanoseconds(SETTLE);
        for index in 0..connections.len() as u32 {
            tools.timers.add(
                first + nanoseconds(workload.spacing) * u64::from(index),
                Due::Begin { index, run },
            );
        }
        let count_from = first + nanoseconds(workload.warm_up);
        let stop_at = count_from + nanoseconds(workload.duration);
        let last_begin = first + nanoseconds(workload.spacing) * u64::from(workload.connections);
        tools
            .timers
            .add(stop_at.max(last_begin) + nanoseconds(GRACE), Due::GiveUp { run });
        let active = connections.len();
        Self {
            run,
            workload,
            report_to,
            connections,
            active,
            outcome,
            began,
            began_busy: thread_time(),
            count_from,
            stop_at,
            ended: began,
        }
    }

    /// The number of this load.
    pub(crate) fn run(&self) -> u32 {
        self.run
    }

    /// Whether nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.active == 0
    }

    /// Reports what came of it.
    pub(crate) fn finish(mut self) {
        let elapsed = Duration::from_nanos(self.ended.saturating_sub(self.began));
        if !elapsed.is_zero() {
            self.outcome.busy = (thread_time() - self.began_busy).as_secs_f64() / elapsed.as_secs_f64();
        }
        // Whoever asked and is gone does not want it.
        let _ = self.report_to.send(self.outcome);
    }

    /// Sends the first request of a connection.
    pub(crate) fn begin_connection(&mut self, index: u32, tools: &mut Tools<'_>) {
        let Some(connection) = self.connections.get_mut(index as usize) else {
            return;
        };
        let now = tools.clock.now();
        let step = connection.send(&self.workload.request, now);
        self.go_on(index, step, now);
    }

    /// Reads and writes what a connection is ready for.
    pub(crate) fn ready(&mut self, index: u32, flags: epoll::EventFlags, tools: &mut Tools<'_>) {
        let Some(connection) = self.connections.get_mut(index as usize) else {
            return;
        };
        if flags.contains(epoll::EventFlags::OUT) {
            let step = connection.flush(&self.workload.request);
            if step != Step::Wait {
                let now = tools.clock.now();
                return self.go_on(index, step, now);
            }
        }
        if flags.intersects(epoll::EventFlags::IN | epoll::EventFlags::HUP | epoll::EventFlags::ERR) {
            let counts = connection.started() >= self.count_from;
            let (step, now) = connection.read(&self.workload, counts, &mut self.outcome, tools);
            self.go_on(index, step, now);
        }
    }

    /// Ends what has no answer by now.
    pub(crate) fn give_up(&mut self) {
        self.outcome.unfinished = self.active as u64;
        self.active = 0;
    }

    fn go_on(&mut self, index: u32, step: Step, now: Nanoseconds) {
        let connection = &mut self.connections[index as usize];
        let mut step = step;
        self.ended = now;
        if step == Step::Answered {
            let started = connection.started();
            self.outcome.answered += 1;
            if started >= self.count_from {
                self.outcome.latencies.push(now - started);
            }
            if (self.count_from..self.stop_at).contains(&now) {
                self.outcome.answered_in_time += 1;
            }
            let may_send = self
                .workload
                .requests_per_connection
                .is_none_or(|most| connection.answered() < most);
            if now < self.stop_at && may_send {
                step = connection.send(&self.workload.request, now);
            } else {
                self.active -= 1;
            }
        }
        if let Step::Failed(failure) = step {
            self.outcome.failed += 1;
            self.outcome.first_failure.get_or_insert(failure);
            self.active -= 1;
        }
    }
}

impl Outcome {
    /// Requests for each second of the time that counts.
    pub fn requests_per_second(&self, duration: Duration) -> f64 {
        self.answered_in_time as f64 / duration.as_secs_f64()
    }
}

fn nanoseconds(duration: Duration) -> Nanoseconds {
    duration.as_nanos() as Nanoseconds
}

/// How long this thread has been at work.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
