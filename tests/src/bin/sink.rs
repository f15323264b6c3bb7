//! A cloud function for the bench: takes CloudEvents, and misbehaves when told so.
#![allow(clippy::print_stdout, reason = "a command line tool")]

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, put};
use clap::Parser;
use serde_json::json;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tidegate_tests::function::{Function, Mode};

/// Takes CloudEvents over HTTP, single or batched, plain or gzip.
///
/// The control port takes `PUT /mode` with accept, html, lose, away, `status 503` or `slow 500` (milliseconds) as its body, and
/// answers `GET /counts`.
#[derive(Parser)]
struct Options {
    /// Where events arrive.
    #[arg(long, default_value = "127.0.0.1:8390")]
    listen: SocketAddr,
    /// Where the faults are switched.
    #[arg(long, default_value = "127.0.0.1:8391")]
    control: SocketAddr,
    /// Append each event to this file, one JSON line each.
    #[arg(long)]
    file: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let options = Options::parse();
    let function = Arc::new(Function::at(options.listen, options.file.as_deref()));
    let router = Router::new().route("/mode", put(mode)).route("/counts", get(counts)).with_state(function);
    let listener = match tokio::net::TcpListener::bind(options.control).await {
        Ok(listener) => listener,
        Err(e) => {
            println!("cannot listen on {}: {e}; choose another address with --control", options.control);
            return ExitCode::FAILURE;
        }
    };
    println!("events at http://{}, control at http://{}", options.listen, options.control);
    match axum::serve(listener, router).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

async fn mode(State(function): State<Arc<Function>>, words: String) -> StatusCode {
    if words.trim() == "away" {
        function.go_away();
        return StatusCode::NO_CONTENT;
    }
    let Some(mode) = Mode::parse(&words) else { return StatusCode::BAD_REQUEST };
    function.set(mode);
    function.come_back();
    StatusCode::NO_CONTENT
}

async fn counts(State(function): State<Arc<Function>>) -> String {
    json!({
        "requests": function.requests(),
        "events": function.event_count(),
        "turned_away": function.turned_away(),
        "malformed": function.malformed(),
    })
    .to_string()
}
