//! What a certificate costs the server, as a multiple of the bare key and signature, and how the cost
//! changes with load, with the number stored and with hostile clients. `scripts/bench` builds and runs it.
//!
//! The server runs on the first core, this driver on the last. The unit is the server's processor
//! time, user and system, for one certificate: its ratios can be compared between machines, its
//! microseconds cannot. Every result is a file of JSON, from which the page is written.
//!
//! `SIGNET_BIN` names the server.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement, configured by its arguments, that may panic"
)]

mod load;
#[path = "../tests/process/mod.rs"]
mod process;
mod runs;

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use runs::{Options, hostile, latency, overload, quick, rsa, standard, sweep};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--static-server") {
        return load::static_server::serve();
    }
    if let [first, words @ ..] = arguments.as_slice()
        && first == "--attack"
    {
        return load::attack::Attack::from_words(words).run();
    }
    let Some(options) = read(&arguments) else { return };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        match options.run.as_str() {
            "quick" => quick::run(&options).await,
            "standard" => standard::run(&options).await,
            "latency" => latency::run(&options).await,
            "rsa" => rsa::run(&options).await,
            "sweep" => sweep::run(&options).await,
            "hostile" => hostile::run(&options).await,
            "overload" => overload::run(&options).await,
            other => panic!("{other} is not a run"),
        }
    });
}

/// `RUN [--seconds N] [--rounds N] [--counts N,N…] [--peer FILE] [--against FILE] [--results FOLDER]`.
/// Without a run nothing is measured: `cargo test` and `cargo bench` name none.
fn read(arguments: &[String]) -> Option<Options> {
    let mut options = Options {
        run: String::new(),
        length: Duration::from_secs(5),
        rounds: 5,
        counts: Vec::new(),
        peer: None,
        against: None,
        results: PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench"),
    };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        let number = |text: &String| text.parse::<u64>().expect("a number");
        match word.as_str() {
            // Cargo's own.
            "--bench" => {}
            "--seconds" => options.length = Duration::from_secs(number(value()).max(1)),
            "--rounds" => options.rounds = number(value()).max(1) as usize,
            "--counts" => {
                options.counts = value().split(',').map(|text| number(&text.to_owned())).collect();
            }
            "--peer" => options.peer = Some(value().into()),
            "--against" => options.against = Some(value().into()),
            "--results" => options.results = value().into(),
            run => run.clone_into(&mut options.run),
        }
    }
    (!options.run.is_empty()).then_some(options)
}
