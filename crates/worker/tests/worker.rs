//! Workers of this very test program, which allocates as a distribution does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the functions of a test without a harness are tests all the same"
)]

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use libtest_mimic::{Arguments, Trial};
use puna_api::{Api, Error, ErrorKind, Host, Provider, ProviderSpec, Result, Services, Worker};
use puna_worker::{Bounds, Failure, Input, Job, Program, Role};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoConfig {}

struct Laborer;

impl Provider for Laborer {
    const TYPE: &'static str = "inline::laborer";
    const SUMMARY: &'static str = "does what each test needs";
    const APIS: &'static [Api] = &[Api::FileProcessors];
    const WORKER: Option<Worker> = Some(labor);
    type Config = NoConfig;

    fn sample() -> NoConfig {
        NoConfig {}
    }

    async fn build(_: NoConfig, _: Host) -> Result<Services> {
        Ok(Services::default())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "which variables a worker has is what is tested"
)]
fn labor(task: &str, input: &mut dyn Read) -> Result<Vec<u8>> {
    match task {
        "echo" => {
            let mut bytes = Vec::new();
            input
                .read_to_end(&mut bytes)
                .map_err(|error| Error::internal(error.to_string()))?;
            Ok(bytes)
        }
        "refuse" => Err(Error::too_large("too large for this")
            .with_param("file")
            .with_code("big")),
        "panic" => panic!("as told"),
        "allocate" => {
            let mut all = Vec::new();
            loop {
                all.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&all);
            }
        }
        "spin" => loop {
            std::hint::spin_loop();
        },
        "wait" | "linger" => loop {
            std::thread::park();
        },
        "recurse" => Ok(vec![recurse(0)]),
        "talk" => Ok(vec![b'x'; 1001]),
        "megabyte" => Ok(vec![b'x'; 1 << 20]),
        "write" => match std::fs::File::create(std::env::temp_dir().join("written-by-a-worker")) {
            Err(error) => Ok(error.to_string().into_bytes()),
            Ok(mut file) => {
                // Over the limit the process gets a signal.
                let written = file.write(b"x").is_ok();
                Ok(format!("written: {written}").into_bytes())
            }
        },
        "variables" => Ok(std::env::vars_os()
            .map(|(name, _)| format!("{} ", name.to_string_lossy()))
            .collect::<String>()
            .into_bytes()),
        _ => Err(Error::internal("no such task")),
    }
}

#[expect(
    unconditional_recursion,
    reason = "a worker that runs out of stack is what is tested"
)]
fn recurse(depth: u64) -> u8 {
    let here = std::hint::black_box([depth; 64]);
    recurse(depth + 1).wrapping_add(here[0].to_le_bytes()[0])
}

const BOUNDS: Bounds = Bounds {
    memory_bytes: 64 << 20,
    time: Duration::from_secs(60),
    answer_bytes: 1 << 20,
};

fn job(task: &str) -> Job {
    Job {
        provider_type: Laborer::TYPE,
        task: task.to_owned(),
        input: Input::Bytes(Bytes::from_static(b"input")),
        bounds: BOUNDS,
    }
}

async fn input_of_every_kind_arrives(program: Program) {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"from a file").unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let long = Bytes::from(vec![b'x'; 1 << 20]);
    let pieces = ["in ", "pieces"].map(|piece| Ok(Bytes::from(piece)));
    for (input, expected) in [
        (Input::File(file), Bytes::from("from a file")),
        (Input::Bytes(Bytes::new()), Bytes::new()),
        (Input::Bytes(long.clone()), long),
        (
            Input::Stream(futures::stream::iter(pieces).boxed()),
            Bytes::from("in pieces"),
        ),
    ] {
        let answer = program.run(Job { input, ..job("echo") }).await.unwrap();
        assert!(answer == expected, "{} bytes", answer.len());
    }
}

async fn an_answer_may_come_before_the_input_ends(program: Program) {
    let input = Input::Stream(futures::stream::pending().boxed());
    let answer = program
        .run(Job {
            input,
            ..job("variables")
        })
        .await
        .unwrap();
    // PATH and secrets stay behind.
    assert_eq!(String::from_utf8(answer).unwrap(), "MIMALLOC_ARENA_RESERVE ");
}

async fn an_input_that_fails_is_told(program: Program) {
    let broken = futures::stream::iter([Ok(Bytes::from("a")), Err(Error::cancelled("went away"))]);
    let input = Input::Stream(broken.boxed());
    let failure = program.run(Job { input, ..job("echo") }).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Input(error) if error.kind() == ErrorKind::Cancelled),
        "{failure:?}"
    );
}

async fn a_refusal_arrives_whole(program: Program) {
    let failure = program.run(job("refuse")).await.unwrap_err();
    let Failure::Refused(error) = failure else {
        panic!("{failure:?}")
    };
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(
        (error.message(), error.param(), error.code()),
        ("too large for this", Some("file"), Some("big"))
    );
}

async fn what_it_runs_out_of_is_told(program: Program) {
    let failure = program.run(job("allocate")).await.unwrap_err();
    assert!(matches!(failure, Failure::OutOfMemory), "{failure:?}");
    let failure = program.run(job("recurse")).await.unwrap_err();
    assert!(matches!(failure, Failure::OutOfStack), "{failure:?}");
    let bounds = Bounds {
        answer_bytes: 1000,
        ..BOUNDS
    };
    let failure = program.run(Job { bounds, ..job("talk") }).await.unwrap_err();
    assert!(matches!(failure, Failure::AnswerTooLong), "{failure:?}");
    let bounds = Bounds {
        answer_bytes: 1001,
        ..BOUNDS
    };
    assert_eq!(program.run(Job { bounds, ..job("talk") }).await.unwrap().len(), 1001);
    for task in ["spin", "wait"] {
        let bounds = Bounds {
            time: Duration::from_millis(300),
            ..BOUNDS
        };
        let failure = program.run(Job { bounds, ..job(task) }).await.unwrap_err();
        assert!(matches!(failure, Failure::OutOfTime), "{failure:?}");
    }
}

async fn less_memory_than_the_bound_is_there(program: Program) {
    let bounds = Bounds {
        memory_bytes: 16 << 20,
        ..BOUNDS
    };
    let answer = program.run(Job {
        bounds,
        ..job("megabyte")
    });
    assert_eq!(answer.await.unwrap().len(), 1 << 20);
}

async fn a_crash_is_told_with_its_last_words(program: Program) {
    let failure = program.run(job("panic")).await.unwrap_err();
    assert!(
        matches!(&failure, Failure::Crashed(words) if words.contains("as told")),
        "{failure:?}"
    );
    // A write to a file is ended by a signal.
    let failure = program.run(job("write")).await.unwrap_err();
    assert!(matches!(&failure, Failure::Crashed(_)), "{failure:?}");
    let _ = std::fs::remove_file(std::env::temp_dir().join("written-by-a-worker"));
    let unknown = Job {
        provider_type: "inline::nobody",
        ..job("echo")
    };
    assert!(matches!(program.run(unknown).await.unwrap_err(), Failure::Crashed(_)));
}

async fn a_worker_that_nobody_waits_for_is_killed(program: Program) {
    let patience = Instant::now() + Duration::from_secs(30);
    let (sender, receiver) = futures::channel::oneshot::channel::<()>();
    // Its input goes when the work is dropped, and not before.
    let input = futures::stream::once(async move {
        let _held = sender;
        futures::future::pending::<Result<Bytes>>().await
    });
    let work = program.run(Job {
        input: Input::Stream(input.boxed()),
        ..job("linger")
    });
    assert!(tokio::time::timeout(Duration::from_millis(200), work).await.is_err());
    assert!(receiver.await.is_err());
    while lingering() {
        assert!(Instant::now() < patience, "the worker is still there");
        tokio::task::yield_now().await;
    }
}

/// Whether a child of this process has the task `linger`.
fn lingering() -> bool {
    let own = format!(") S {}", std::process::id());
    let is_child = |stat: &str| {
        ["R", "S", "D"]
            .iter()
            .any(|state| stat.contains(&own.replace('S', state)))
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    let mut folders = processes.filter_map(|process| Some(process.ok()?.path()));
    folders.any(|folder| {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
        is_child(&read("stat")) && read("cmdline").contains("linger")
    })
}

fn trial<F: Future<Output = ()> + 'static>(name: &str, program: &Program, test: fn(Program) -> F) -> Trial {
    let program = program.clone();
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(test(program));
        Ok(())
    })
}

fn main() -> ExitCode {
    let linked = [ProviderSpec::of::<Laborer>()];
    let program = match puna_worker::role(&linked) {
        Role::Worker(code) => return code,
        Role::Main(program) => program,
    };
    macro_rules! trials {
        ($($test:ident),* $(,)?) => {
            vec![$(trial(stringify!($test), &program, $test)),*]
        };
    }
    let trials = trials![
        input_of_every_kind_arrives,
        an_answer_may_come_before_the_input_ends,
        an_input_that_fails_is_told,
        a_refusal_arrives_whole,
        what_it_runs_out_of_is_told,
        less_memory_than_the_bound_is_there,
        a_crash_is_told_with_its_last_words,
        a_worker_that_nobody_waits_for_is_killed,
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
