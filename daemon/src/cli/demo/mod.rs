//! `tidegate demo`: the whole product on one screen, with nothing else installed.
//!
//! Simulated greenhouse sensors publish over real MQTT to the built-in listener; the daemon folds, stores and forwards as
//! it always does; a function on this machine receives. On the way a reading comes twice, one comes late, one is
//! impossible, and the uplink is cut for a while.

mod function;
mod screen;
mod sensors;
mod uplink;

use super::exit::{self, Exit};
use crate::config::{self, Environment};
use crate::forward::retry::Retry;
use crate::wiring::{Daemon, Options};
use function::Function;
use screen::Screen;
use sensors::Greenhouse;
use std::path::Path;
use std::time::Duration;
use uplink::Uplink;

/// A cycle of the play when no end is given.
const CYCLE: Duration = Duration::from_secs(40);
/// The shortest run in which everything can be seen.
const SHORTEST: Duration = Duration::from_secs(12);
/// Windows of this length close often enough to watch.
const WINDOW_SECS: u64 = 2;

/// What happens in the play, each at its part of the run.
const PLAY: [(f64, Scene); 5] = [
    (0.15, Scene::Twice),
    (0.25, Scene::Impossible),
    (0.35, Scene::Late),
    (0.45, Scene::Cut),
    (0.70, Scene::Mend),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scene {
    Twice,
    Impossible,
    Late,
    Cut,
    Mend,
}

/// Runs the demo, for `length` or until it is interrupted.
pub fn demo(length: Option<Duration>, json: bool) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::failed(exit::OS, &format!("cannot start the runtime: {error}")),
    };
    let folder = std::env::temp_dir().join(format!("tidegate-demo-{}", std::process::id()));
    let result = runtime.block_on(play(&folder, length, json));
    runtime.shutdown_timeout(Duration::from_secs(1));
    // A demo leaves nothing behind; what cannot be removed is in the temporary folder.
    let _ = std::fs::remove_dir_all(&folder);
    match result {
        Ok(true) => Exit::OK,
        Ok(false) => exit::failed(exit::SOFTWARE, "the ledger does not balance: please report this"),
        Err(text) => exit::failed(exit::UNAVAILABLE, &text),
    }
}

/// The configuration of the demo: the README shows the same.
fn configuration(folder: &Path, url: &str) -> String {
    format!(
        r#"
[gateway]
id = "greenhouse"
data_dir = "{}"

[sources.sensors]
type = "listen"
listen = "127.0.0.1:0"

[streams.climate]
topic = "greenhouse/{{device}}/{{metric}}"
value = "/value"
time = {{ at = "/ts", format = "ms" }}
sequence = "/seq"
clean = [{{ range = {{ min = -40, max = 85 }}, metrics = ["temperature"] }}]

[summaries.window]
window = "{WINDOW_SECS}s"
lateness = "500ms"

[outputs.function]
url = "{url}"
batch = {{ events = 50, bytes = "64KiB", linger = "50ms" }}

[clock]
unsynchronised = "trust"

[status]
listen = "127.0.0.1:0"
"#,
        folder.join("data").display()
    )
}

async fn play(folder: &Path, length: Option<Duration>, json: bool) -> Result<bool, String> {
    let failed = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("cannot start {what}: {error}")
    };
    let function = Function::start().await.map_err(failed("the function"))?;
    let mut uplink = Uplink::open(function.address()).await.map_err(failed("the uplink"))?;
    let text = configuration(folder, &format!("http://{}/ingest", uplink.address()));
    let loaded = config::parse(&text, "demo", folder, &Environment::from_system())
        .map_err(|report| report.render(false))?;
    // The uplink comes back soon, and the demo should show it: a real outage is worth longer waits.
    let retry = Retry { min: Duration::from_millis(200), max: Duration::from_secs(1) };
    let options = Options { retry, ..Options::default() };
    let mut daemon = Daemon::start(loaded.config, options).await.map_err(|error| error.to_string())?;
    let status = daemon.serve_status(([127, 0, 0, 1], 0).into()).await.map_err(failed("the status page"))?;
    let broker = daemon.source_states().into_iter().find_map(|(_, _, address)| address);
    let broker = broker.ok_or("the listener has no address")?;
    let mut screen = Screen::new(json);
    screen.opening(broker, &uplink, status);
    let mut greenhouse = Greenhouse::open(broker);

    let cycle = length.unwrap_or(CYCLE).max(SHORTEST);
    let begun = tokio::time::Instant::now();
    let mut second = tokio::time::interval(Duration::from_secs(1));
    let mut next = 0;
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    loop {
        tokio::select! {
            _ = second.tick() => {}
            _ = &mut interrupted => break,
        }
        let elapsed = begun.elapsed();
        if length.is_some() && elapsed >= cycle {
            break;
        }
        let round = elapsed.as_secs_f64() / cycle.as_secs_f64();
        let mut said = None;
        if round.fract() < 0.02 && next == PLAY.len() {
            next = 0;
        }
        if let Some((_, scene)) = PLAY.get(next).filter(|(at, _)| round.fract() >= *at) {
            next += 1;
            said = Some(act(*scene, &mut greenhouse, &mut uplink).await);
        }
        screen.row(elapsed, &daemon.status_document(), said.as_deref(), &function.take_latest());
    }
    // First the sensors stop, then the open windows close and are delivered; then the account is final.
    greenhouse.close().await;
    uplink.mend().await;
    screen.say("the sensors have stopped; the last windows close and are delivered");
    wait_until_delivered(&daemon).await;
    let document = daemon.status_document();
    daemon.stop().await;
    Ok(screen.closing(&document, function.events()))
}

async fn act(scene: Scene, greenhouse: &mut Greenhouse, uplink: &mut Uplink) -> String {
    match scene {
        Scene::Twice => greenhouse.repeat().await,
        Scene::Impossible => greenhouse.impossible().await,
        Scene::Late => greenhouse.late().await,
        Scene::Cut => {
            uplink.cut().await;
            "the uplink is CUT: sensors go on, summaries queue on disk".into()
        }
        Scene::Mend => {
            uplink.mend().await;
            "the uplink is back: the queue drains, nothing is missing".into()
        }
    }
}

/// Waits until every window is closed and delivered, within reason.
async fn wait_until_delivered(daemon: &Daemon) {
    let limit = tokio::time::Instant::now() + Duration::from_secs(3 * WINDOW_SECS + 6);
    let mut look = tokio::time::interval(Duration::from_millis(50));
    while tokio::time::Instant::now() < limit {
        look.tick().await;
        let open = daemon.figures.get(|figures| &figures.windows);
        let queued: u64 = daemon.store.outputs().values().map(|row| row.counts.queued()).sum();
        if open == 0 && queued == 0 {
            return;
        }
    }
}
