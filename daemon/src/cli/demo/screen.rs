//! What the demo prints: a row a second, and the account at the end.
#![expect(clippy::print_stdout, reason = "the answer of a command")]

use super::uplink::Uplink;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;

/// Where the demo is printed, and how.
#[derive(Debug)]
pub(super) struct Screen {
    json: bool,
}

impl Screen {
    pub(super) fn new(json: bool) -> Screen {
        Screen { json }
    }

    /// What is running, and where.
    pub(super) fn opening(&mut self, broker: SocketAddr, uplink: &Uplink, status: SocketAddr) {
        if self.json {
            let to = uplink.address();
            println!("{}", json!({ "demo": { "mqtt": broker, "function": to, "status": status } }));
            return;
        }
        println!("4 sensors ──MQTT──▶ tidegate ──windows on disk──▶ uplink ──HTTP──▶ your function");
        println!("{broker:>29}                                {}", uplink.address());
        println!();
        println!(
            "An acknowledged reading is on disk and counted once. Every reading stands in one column of the"
        );
        println!("ledger, every event in one column of the output. While this runs: http://{status}/");
        println!();
        println!("       ─────────────── readings ────────────────  ──── events to the function ────");
        println!("  time received counted duplicate rejected pending    made delivered queued superseded");
    }

    /// One second.
    pub(super) fn row(&mut self, elapsed: Duration, status: &Value, said: Option<&str>, latest: &[Value]) {
        let (ledger, output) = (&status["ledger"], &status["outputs"]["function"]);
        if self.json {
            let line = json!({
                "elapsed_s": elapsed.as_secs(), "ledger": ledger, "output": output, "said": said,
                "events": latest.len(),
            });
            println!("{line}");
            return;
        }
        let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or(0);
        println!(
            "{:>4} s {:>8} {:>7} {:>9} {:>8} {:>7} {:>7} {:>9} {:>6} {:>10}",
            elapsed.as_secs(),
            number(ledger, "received"),
            number(ledger, "counted"),
            number(ledger, "duplicate"),
            sum(&ledger["rejected"]),
            number(ledger, "pending"),
            number(output, "made"),
            number(output, "delivered"),
            number(output, "queued"),
            number(output, "superseded"),
        );
        if let Some(said) = said {
            println!("         ▸ {said}");
        }
        if let Some(event) = latest.iter().find(|event| event["data"]["revision"] != 0) {
            println!("         ▹ the function got a correction: {}", words(event));
        } else if elapsed.as_secs() % 5 == 4
            && let Some(event) = latest.first()
        {
            println!("         ▹ the function got: {}", words(event));
        }
    }

    /// Something that happened outside the rows.
    pub(super) fn say(&mut self, text: &str) {
        if !self.json {
            println!("         ▸ {text}");
        }
    }

    /// The account, and whether it balances.
    pub(super) fn closing(&mut self, status: &Value, events: u64) -> bool {
        let (ledger, output) = (&status["ledger"], &status["outputs"]["function"]);
        let number = |of: &Value, name: &str| of[name].as_u64().unwrap_or(0);
        let readings = ["counted", "duplicate", "dead_lettered", "pending"].map(|name| number(ledger, name));
        let rejected = sum(&ledger["rejected"]);
        let sides =
            ["delivered", "queued", "merged", "superseded", "refused"].map(|name| number(output, name));
        let dropped = sum(&output["dropped"]);
        let (received, made) = (number(ledger, "received"), number(output, "made"));
        let balanced = received == readings.iter().sum::<u64>() + rejected
            && made == sides.iter().sum::<u64>() + dropped;
        if self.json {
            let line = json!({ "ledger": ledger, "outputs": status["outputs"], "events": events, "balanced": balanced });
            println!("{line}");
            return balanced;
        }
        let [counted, duplicate, dead_lettered, pending] = readings;
        let [delivered, queued, merged, superseded, refused] = sides;
        println!();
        println!("The ledger:");
        println!(
            "  received {received} = counted {counted} + duplicate {duplicate} + rejected {rejected} + dead-lettered \
             {dead_lettered} + pending {pending}"
        );
        println!(
            "  made {made} = delivered {delivered} + queued {queued} + merged {merged} + superseded {superseded} + \
             refused {refused} + dropped {dropped}"
        );
        println!(
            "  the function received {events} events (an event whose answer was lost comes again, same id)"
        );
        println!("  {}", if balanced { "Both balance: nothing vanished." } else { "THIS DOES NOT BALANCE." });
        balanced
    }
}

fn sum(reasons: &Value) -> u64 {
    reasons.as_object().map_or(0, |reasons| reasons.values().filter_map(Value::as_u64).sum())
}

/// An event in a few words.
fn words(event: &Value) -> String {
    let data = &event["data"];
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!(
        "{} {} {} mean {:.2} of {} readings, revision {}",
        text(&data["tags"]["device"]),
        text(&data["metric"]),
        text(&data["window"]["start"]),
        data["values"]["mean"].as_f64().unwrap_or(f64::NAN),
        data["values"]["count"],
        data["revision"],
    )
}
