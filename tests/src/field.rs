//! What most end-to-end tests begin with: sensors that publish to the daemon's own listener, with a time and a sequence number in each
//! payload, and a summary a second.

use crate::packet::Version;
use crate::publisher::Sensor;
use std::time::Duration;

/// The source, and the stream `climate`.
pub fn listener(port: u16) -> String {
    format!(
        "[sources.field]
type = \"listen\"
listen = \"127.0.0.1:{port}\"

[streams.climate]
topic = \"sensors/{{device}}/{{metric}}\"
format = \"json\"
value = \"/value\"
time = {{ at = \"/ts\", format = \"ms\" }}
sequence = {{ at = \"/seq\", per = [\"device\"] }}

"
    )
}

/// The summary, with everything that [`crate::oracle`] computes.
pub const SECONDS: &str = "[summaries.second]
streams = [\"climate\"]
window = \"1s\"
lateness = \"1s\"
aggregates = [\"count\", \"sum\", \"mean\", \"min\", \"max\", \"first\", \"last\", \"stddev\"]

";

/// A sensor that measures two things, fifty times a second.
pub fn sensor(device: &str) -> Sensor {
    Sensor {
        device: device.into(),
        metrics: vec!["temperature".into(), "humidity".into()],
        version: Version::V5,
        sequence: true,
        interval: Duration::from_millis(20),
        disorder_ms: 100,
        seed: 1,
    }
}
