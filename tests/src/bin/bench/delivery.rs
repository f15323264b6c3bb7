//! A backlog that drains to a function on this machine, beside a plain loop that posts the same bodies with the same HTTP client.

use super::{Figure, figure, wait_for_readings};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidegate_tests::daemon::Daemon;
use tidegate_tests::measure::{number, run};
use tidegate_tests::port;
use tidegate_tests::usage::{Usage, rss_kib};

/// Events in a request.
const BATCH: u64 = 500;
/// Bodies that the loop posts over and over.
const KEPT: usize = 100;

/// What the function has seen.
#[derive(Default)]
struct Seen {
    /// The first request with something in it, and the last.
    times: Option<(Instant, Instant)>,
    bodies: Vec<Bytes>,
}

type Shared = Arc<Mutex<Seen>>;

/// A function that reads what it gets, and takes it. Runs until the program ends.
fn function(address: SocketAddr) -> Shared {
    let seen = Shared::default();
    let state = Arc::clone(&seen);
    let listener = TcpListener::bind(address).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let router =
                Router::new().fallback(take).layer(DefaultBodyLimit::max(16 << 20)).with_state(state);
            axum::serve(listener, router).await.expect("a server");
        });
    });
    seen
}

async fn take(State(seen): State<Shared>, body: Bytes) -> StatusCode {
    let mut seen = seen.lock().expect("what was seen");
    if !body.is_empty() {
        let first = seen.times.map_or_else(Instant::now, |(first, _)| first);
        seen.times = Some((first, Instant::now()));
        if seen.bodies.len() < KEPT {
            seen.bodies.push(body);
        }
    }
    StatusCode::NO_CONTENT
}

/// Summaries a second, processor time of each in µs, what was resident before and at most, in MiB, and how many times as many the loop posts.
pub(super) fn drained(summaries: u64, compression: &str) -> Vec<Figure> {
    let (inlet, outlet) = (port::reserve(), SocketAddr::from(([127, 0, 0, 1], port::reserve())));
    let mut daemon = Daemon::start(&format!(
        "[sources.bench]\ntype = \"listen\"\nlisten = \"127.0.0.1:{inlet}\"\n\
         [streams.readings]\ntopic = \"sensors/{{device}}/{{metric}}\"\nvalue = \"/value\"\nsequence = \"/seq\"\n\
         [summaries.each]\nwindow = {{ count = 1 }}\naggregates = [\"count\", \"mean\", \"min\", \"max\"]\n\
         [buffer]\nmax_size = \"64GiB\"\nhistory = \"0\"\n\
         [outputs.function]\nurl = \"http://{outlet}/\"\nbatch = {{ events = {BATCH}, bytes = \"1MiB\" }}\ncompression = \"{compression}\"\n"
    ));
    let count = summaries.to_string();
    let address = format!("127.0.0.1:{inlet}");
    let load = run("load", &["--address", &address, "--count", &count, "--series", "200"]);
    wait_for_readings(&daemon, number(&load, "sent") as u64);
    // What taking them left in memory is not of interest here.
    daemon.terminate();
    daemon.launch();
    let (seen, before, start) = (function(outlet), Usage::of(daemon.pid()), Instant::now());
    let waiting = rss_kib(daemon.pid());
    let mut resident = 0;
    let status = loop {
        let status = daemon.status();
        resident = resident.max(rss_kib(daemon.pid()));
        if status.output("function", "queued") == 0 {
            break status;
        }
        assert!(start.elapsed() < Duration::from_secs(600), "it does not drain: {}", status.0["outputs"]);
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status.output("function", "delivered"), summaries, "{}", status.0["outputs"]);
    let used = Usage::of(daemon.pid()).since(before);
    // From the first request to the last: before, it had backed off; afterwards the last confirmations wait for a transaction.
    let (times, bodies) = {
        let seen = seen.lock().expect("what was seen");
        (seen.times.expect("requests"), seen.bodies.clone())
    };
    let rate = summaries as f64 / (times.1 - times.0).as_secs_f64();
    let plain = posted(outlet, bodies, compression, summaries / BATCH) * BATCH as f64;
    vec![
        figure(rate, "reading the store, and the function"),
        figure(used.cpu_us as f64 / summaries as f64, ""),
        figure(waiting as f64 / 1024.0, "after a start"),
        figure(resident as f64 / 1024.0, "the most of all looks"),
        figure(plain / rate, "a loop that posts the same bodies, in the same run"),
    ]
}

/// Posts bodies one after the other: requests a second.
fn posted(address: SocketAddr, bodies: Vec<Bytes>, compression: &str, count: u64) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // The second time it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    runtime.block_on(async move {
        let client = reqwest::Client::builder().http1_only().no_proxy().build().expect("a client");
        let start = Instant::now();
        for body in bodies.iter().cycle().take(usize::try_from(count).unwrap_or(usize::MAX)) {
            let mut request = client.post(format!("http://{address}/"));
            if compression != "none" {
                request = request.header("content-encoding", compression);
            }
            let response = request.body(body.clone()).send().await.expect("an answer");
            assert_eq!(response.status(), 204);
        }
        count as f64 / start.elapsed().as_secs_f64()
    })
}
