//! The thread that is both ends of the benchmark: the mock upstream and the load.
//!
//! They share one event loop on purpose. On a machine of two cores the server under test has one to itself; were mock
//! and load two threads on the other, each request would pay for changing between them.

mod token;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::affinity;
use crate::answers::{Answers, StreamShape};
use crate::error::{Context as _, Error, Result};
use crate::load::{Load, Outcome, Workload};
use crate::mock::Mock;
use crate::timers::{Clock, Timers};

pub(crate) use token::{Due, Token};

/// How many bytes one read takes at most.
const SCRATCH_BYTES: usize = 256 * 1024;
/// How many events one wait returns at most.
const EVENTS: usize = 1024;
/// How many connections may wait to be accepted.
const BACKLOG: i32 = 4096;

/// How to start a [`Rig`].
#[derive(Debug, Clone, Copy, Default)]
pub struct RigSettings {
    /// The port of the mock upstream on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The core that the thread stays on; `None` leaves that to the system.
    pub core: Option<usize>,
    /// How the mock streams.
    pub stream: StreamShape,
}

/// A mock upstream that serves as long as this lives, and the load that can be sent from the same thread.
#[derive(Debug)]
pub struct Rig {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    mock_address: SocketAddr,
    thread: Option<JoinHandle<Result<()>>>,
}

enum Command {
    Run(Workload, Sender<Outcome>),
    Capture,
    TakeCaptured(Sender<Vec<u8>>),
    Stop,
}

impl Rig {
    /// Binds the mock's port and starts the thread.
    ///
    /// # Errors
    /// When the port is taken, the core cannot be chosen, or the kernel refuses what the event loop needs.
    pub fn start(settings: RigSettings) -> Result<Self> {
        raise_open_files_limit().while_trying(|| "raise the limit of open files".into())?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))
            .while_trying(|| format!("listen on port {}", settings.port))?;
        listener
            .set_nonblocking(true)
            .while_trying(|| "make the mock's listener non-blocking".into())?;
        rustix::net::listen(&listener, BACKLOG).while_trying(|| "lengthen the mock's queue".into())?;
        let mock_address = listener.local_addr().while_trying(|| "learn the mock's port".into())?;
        let wake = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)
            .while_trying(|| "create an event descriptor".into())?;
        let wake = Arc::new(wake);
        let (commands, receiver) = channel();
        let mut event_loop = EventLoop::new(listener, Arc::clone(&wake), receiver, settings)
            .while_trying(|| "prepare the event loop".into())?;
        let thread = std::thread::Builder::new()
            .name("mock and load".into())
            .spawn(move || {
                if let Some(core) = settings.core {
                    affinity::pin_this_thread(core)?;
                }
                event_loop.run().while_trying(|| "run the event loop".into())
            })
            .while_trying(|| "start a thread".into())?;
        Ok(Self {
            commands,
            wake,
            mock_address,
            thread: Some(thread),
        })
    }

    /// Where the mock upstream listens.
    pub fn mock_address(&self) -> SocketAddr {
        self.mock_address
    }

    /// Sends a load and waits until it ends.
    ///
    /// # Errors
    /// When the thread has ended, which only a failure of the event loop does. What went wrong with requests is in the
    /// outcome.
    pub fn run(&self, workload: Workload) -> Result<Outcome> {
        let (answer, outcome) = channel();
        self.send(Command::Run(workload, answer))?;
        outcome.recv().map_err(|_| ended())
    }

    /// Sends a load as [`Rig::run`] does, and returns with its outcome the bodies that the mock received meanwhile, one
    /// behind the other.
    ///
    /// # Errors
    /// As [`Rig::run`].
    pub fn run_and_capture(&self, workload: Workload) -> Result<(Outcome, Vec<u8>)> {
        self.send(Command::Capture)?;
        let outcome = self.run(workload)?;
        let (answer, captured) = channel();
        self.send(Command::TakeCaptured(answer))?;
        Ok((outcome, captured.recv().map_err(|_| ended())?))
    }

    /// Waits until the thread ends by itself, which only a failure of the event loop does.
    ///
    /// # Errors
    /// That failure.
    pub fn wait(mut self) -> Result<()> {
        self.join()
    }

    fn send(&self, command: Command) -> Result<()> {
        self.commands.send(command).map_err(|_| ended())?;
        rustix::io::write(&self.wake, &1u64.to_ne_bytes()).while_trying(|| "wake the event loop".into())?;
        Ok(())
    }

    fn join(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(Error::new("the event loop panicked")),
            None => Ok(()),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if self.send(Command::Stop).is_ok() {
            // Whoever drops the rig has what it came for.
            let _ = self.join();
        }
    }
}

fn ended() -> Error {
    Error::new("the event loop of mock and load has ended")
}

/// Each stream takes two descriptors here, and two in the server, which inherits the limit.
fn raise_open_files_limit() -> rustix::io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)
}

/// What mock and load use of the event loop.
pub(crate) struct Tools<'a> {
    epoll: &'a OwnedFd,
    /// The clock of all times here.
    pub(crate) clock: Clock,
    /// Tasks for later.
    pub(crate) timers: &'a mut Timers<Due>,
    /// Where a read puts its bytes.
    pub(crate) scratch: &'a mut [u8],
}

impl Tools<'_> {
    /// Reports once, each time `source` becomes readable or writable.
    pub(crate) fn watch(&self, source: impl AsFd, token: Token) -> rustix::io::Result<()> {
        let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::ET;
        epoll::add(self.epoll, source, epoll::EventData::new_u64(token.to_number()), flags)
    }
}

struct EventLoop {
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    listener: TcpListener,
    commands: Receiver<Command>,
    clock: Clock,
    timers: Timers<Due>,
    scratch: Vec<u8>,
    mock: Mock,
    load: Option<Load>,
    runs: u32,
}

impl EventLoop {
    fn new(
        listener: TcpListener,
        wake: Arc<OwnedFd>,
        commands: Receiver<Command>,
        settings: RigSettings,
    ) -> io::Result<Self> {
        let clock = Clock::start();
        let timers = Timers::new(clock)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mock = Mock::new(Answers::new(settings.stream));
        for (source, token) in [
            (wake.as_fd(), Token::Wake),
            (timers.descriptor(), Token::Timer),
            (listener.as_fd(), Token::Listener),
        ] {
            epoll::add(
                &epoll,
                source,
                epoll::EventData::new_u64(token.to_number()),
                epoll::EventFlags::IN,
            )?;
        }
        let scratch = vec![0; SCRATCH_BYTES];
        Ok(Self {
            epoll,
            wake,
            listener,
            commands,
            clock,
            timers,
            scratch,
            mock,
            load: None,
            runs: 0,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events: Vec<epoll::Event> = Vec::with_capacity(EVENTS);
        loop {
            self.timers.arm()?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match Token::from_number(event.data.u64()) {
                    Token::Wake => {
                        // Its count says nothing that the queue does not.
                        let _ = rustix::io::read(&self.wake, &mut [0u8; 8]);
                        while let Ok(command) = self.commands.try_recv() {
                            if !self.obey(command) {
                                return Ok(());
                            }
                        }
                    }
                    Token::Timer => {
                        self.timers.acknowledge();
                        self.do_what_is_due();
                    }
                    Token::Listener => {
                        let (mock, listener, _, mut tools) = self.parts();
                        mock.accept(listener, &mut tools);
                    }
                    Token::Mock { index, generation } => {
                        let (mock, _, _, mut tools) = self.parts();
                        mock.ready(index, generation, event.flags, &mut tools);
                    }
                    Token::Load { index, run } => {
                        let (_, _, load, mut tools) = self.parts();
                        if let Some(load) = load.as_mut().filter(|load| load.run() == run) {
                            load.ready(index, event.flags, &mut tools);
                        }
                    }
                }
            }
            if self.load.as_ref().is_some_and(Load::is_over) {
                self.load.take().into_iter().for_each(Load::finish);
            }
        }
    }

    fn parts(&mut self) -> (&mut Mock, &TcpListener, &mut Option<Load>, Tools<'_>) {
        let tools = Tools {
            epoll: &self.epoll,
            clock: self.clock,
            timers: &mut self.timers,
            scratch: &mut self.scratch,
        };
        (&mut self.mock, &self.listener, &mut self.load, tools)
    }

    /// Returns whether to go on.
    fn obey(&mut self, command: Command) -> bool {
        match command {
            Command::Run(workload, answer) => {
                self.runs = (self.runs + 1) & Token::GENERATION_MASK;
                let run = self.runs;
                let (_, _, load, mut tools) = self.parts();
                *load = Some(Load::begin(workload, run, answer, &mut tools));
            }
            Command::Capture => self.mock.capture(),
            // Whoever asked and is gone does not want it.
            Command::TakeCaptured(answer) => drop(answer.send(self.mock.take_captured())),
            Command::Stop => return false,
        }
        true
    }

    fn do_what_is_due(&mut self) {
        while let Some((_, due)) = self.timers.next_due(self.clock.now()) {
            let (mock, _, load, mut tools) = self.parts();
            match due {
                Due::Chunk { index, generation } => mock.chunk_due(index, generation, &mut tools),
                Due::Begin { index, run } => {
                    if let Some(load) = load.as_mut().filter(|load| load.run() == run) {
                        load.begin_connection(index, &mut tools);
                    }
                }
                Due::GiveUp { run } => {
                    if let Some(load) = load.as_mut().filter(|load| load.run() == run) {
                        load.give_up();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
