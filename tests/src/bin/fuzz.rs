//! Mutates the payloads of `tests/fuzz/corpus` and has every decoder read them, for a bounded time, in bounded memory.
//!
//! `./tests/run fuzz 60` runs it for a minute; a seed replays a run: `SEED=42 ./tests/run fuzz 10`.
#![allow(clippy::print_stdout, reason = "a command line tool")]
#![allow(clippy::expect_used, reason = "a fuzzer ends at the first thing that should not have happened")]

use clap::Parser;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tidegate_tests::decoders::Decoders;
use tidegate_tests::usage::rss_kib;

/// Address space that the process may have: an allocation beyond it ends the process.
const MEMORY_BYTES_MAX: u64 = 512 << 20;
/// Memory that may be in use at the end, in KiB.
const RSS_KIB_MAX: u64 = 96 << 10;
/// Payloads stay as small as most messages are; larger ones are what repeated parts make of them.
const PAYLOAD_BYTES_MAX: usize = 16 << 10;
/// How long all decoders together may take for one payload.
const PATIENCE: Duration = Duration::from_secs(2);

/// Mutates a corpus and has every decoder read the result.
#[derive(Parser)]
struct Options {
    /// How long.
    #[arg(default_value_t = 60)]
    seconds: u64,
    /// Where the random numbers begin; by chance unless it is given.
    #[arg(long)]
    seed: Option<u64>,
    /// A folder of folders of payloads.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus"))]
    corpus: PathBuf,
    /// Reads this file once instead: what an earlier run has left behind.
    #[arg(long)]
    only: Option<PathBuf>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let limit = Rlimit { current: Some(MEMORY_BYTES_MAX), maximum: Some(MEMORY_BYTES_MAX) };
    setrlimit(Resource::As, limit).expect("a limit of memory");
    let mut decoders = Decoders::default();
    if let Some(path) = &options.only {
        decoders.read(&std::fs::read(path).expect("the payload"));
        return ExitCode::SUCCESS;
    }
    let corpus = read_corpus(&options.corpus);
    let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SEED={seed}, {} payloads, {} s", corpus.len(), options.seconds);
    let mut rng = fastrand::Rng::with_seed(seed);
    let (begin, mut runs) = (Instant::now(), 0u64);
    while begin.elapsed() < Duration::from_secs(options.seconds) {
        let payload = mutated(&mut rng, &corpus);
        let started = Instant::now();
        let panicked = catch_unwind(AssertUnwindSafe(|| decoders.read(&payload))).is_err();
        if panicked || started.elapsed() > PATIENCE {
            let path = std::env::temp_dir().join(format!("tidegate-fuzz-{seed}-{runs}"));
            std::fs::write(&path, &payload).expect("a file for the payload");
            let what = if panicked { "panicked" } else { "took too long" };
            println!("a decoder {what} in run {runs}: fuzz --only {}", path.display());
            return ExitCode::FAILURE;
        }
        runs += 1;
    }
    let resident_kib = rss_kib(std::process::id());
    println!("{runs} runs, {resident_kib} KiB resident");
    if resident_kib > RSS_KIB_MAX {
        println!("that is more than {RSS_KIB_MAX} KiB");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn read_corpus(folder: &Path) -> Vec<Vec<u8>> {
    let files = |folder: &Path| {
        let mut paths: Vec<_> = std::fs::read_dir(folder)
            .expect("the corpus")
            .map(|entry| entry.expect("the corpus").path())
            .collect();
        // The order of a folder differs between machines, and a seed must not.
        paths.sort();
        paths
    };
    let payloads = files(folder).into_iter().flat_map(|format| files(&format));
    let payloads: Vec<_> = payloads.map(|path| std::fs::read(path).expect("a payload")).collect();
    assert!(!payloads.is_empty(), "the corpus is empty");
    payloads
}

/// A payload of the corpus with a few changes of the kinds that break parsers.
fn mutated(rng: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    const WORDS: [&[u8]; 12] = [
        b"null",
        b"1e999",
        b"-",
        b"{",
        b"[",
        b"\"",
        b"\\u",
        b"NaN",
        b"\xff\xff\xff\xff",
        b"\x9b",
        b"\xdf",
        b"99999999999999999999",
    ];
    let mut payload = corpus[rng.usize(..corpus.len())].clone();
    for _ in 0..rng.usize(1..8) {
        let at = rng.usize(..=payload.len());
        let end = (at + rng.usize(..32)).min(payload.len());
        match rng.u8(..7) {
            0 if at < payload.len() => payload[at] = rng.u8(..),
            1 if at < payload.len() => payload[at] ^= 1 << rng.u8(..8),
            2 => drop(payload.drain(at..end)),
            3 => drop(payload.splice(at..at, WORDS[rng.usize(..WORDS.len())].iter().copied())),
            4 => {
                let part = payload[at..end].to_vec();
                let count = rng.usize(1..200);
                payload.splice(at..at, part.repeat(count));
            }
            5 => {
                let other = &corpus[rng.usize(..corpus.len())];
                let from = rng.usize(..=other.len());
                payload.splice(at..end, other[from..].iter().copied());
            }
            _ => payload.truncate(at),
        }
        payload.truncate(PAYLOAD_BYTES_MAX);
    }
    payload
}
