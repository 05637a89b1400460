//! Times at which the event loop has something to do, kept exact by one timer of the kernel.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

/// Nanoseconds since the event loop began.
pub(crate) type Nanoseconds = u64;

/// The clock of one event loop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time now.
    pub(crate) fn now(self) -> Nanoseconds {
        // 584 years fit.
        self.0.elapsed().as_nanos() as u64
    }
}

/// Tasks with the times at which they are due.
#[derive(Debug)]
pub(crate) struct Timers<T> {
    timer: OwnedFd,
    clock: Clock,
    armed_for: Option<Nanoseconds>,
    tasks: BinaryHeap<Reverse<(Nanoseconds, T)>>,
}

impl<T: Ord> Timers<T> {
    /// No tasks yet.
    pub(crate) fn new(clock: Clock) -> rustix::io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        Ok(Self {
            timer,
            clock,
            armed_for: None,
            tasks: BinaryHeap::new(),
        })
    }

    /// Adds a task that is due at `time`.
    pub(crate) fn add(&mut self, time: Nanoseconds, task: T) {
        self.tasks.push(Reverse((time, task)));
    }

    /// The earliest task that is due at `now`, with its time.
    pub(crate) fn next_due(&mut self, now: Nanoseconds) -> Option<(Nanoseconds, T)> {
        let Reverse((time, _)) = self.tasks.peek()?;
        if *time > now {
            return None;
        }
        self.tasks.pop().map(|Reverse(task)| task)
    }

    /// Sees to it that [`Timers::descriptor`] becomes readable when the next task is due.
    pub(crate) fn arm(&mut self) -> rustix::io::Result<()> {
        let next = self.tasks.peek().map(|Reverse((time, _))| *time);
        if next.is_none() || next == self.armed_for {
            return Ok(());
        }
        // A timer that is set to nothing is switched off, so one that is overdue is set to the least.
        let left = next.unwrap_or_default().saturating_sub(self.clock.now()).max(1);
        let it_value = Timespec {
            tv_sec: (left / 1_000_000_000) as i64,
            tv_nsec: (left % 1_000_000_000) as i64,
        };
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.armed_for = next;
        Ok(())
    }

    /// Takes note that the descriptor became readable.
    pub(crate) fn acknowledge(&mut self) {
        self.armed_for = None;
        // The count of expirations says nothing that the tasks do not, and reading it cannot fail but for being empty.
        let _ = rustix::io::read(&self.timer, &mut [0u8; 8]);
    }

    /// What the event loop waits on.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_come_in_the_order_of_their_times_and_not_early() {
        let mut timers = Timers::new(Clock::start()).unwrap();
        for (time, task) in [(30, 'c'), (10, 'a'), (20, 'b'), (40, 'd')] {
            timers.add(time, task);
        }
        assert_eq!(timers.next_due(9), None);
        assert_eq!(timers.next_due(30), Some((10, 'a')));
        assert_eq!(timers.next_due(30), Some((20, 'b')));
        assert_eq!(timers.next_due(30), Some((30, 'c')));
        assert_eq!(timers.next_due(30), None);
    }
}
