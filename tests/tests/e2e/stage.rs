//! The stage itself: what the other tests rest on.

use std::time::Duration;
use tidegate_tests::broker::Broker;
use tidegate_tests::packet::Version;
use tidegate_tests::publisher::Sensor;
use tidegate_tests::wait;

/// Sensors survive a restart of their broker: all that they took is acknowledged in the end.
#[test]
#[ignore = "end to end: ./tests/run e2e"]
fn sensors_outlive_their_broker() {
    let mut broker = Broker::start();
    let sensor = |device: &str, version| Sensor {
        device: device.into(),
        metrics: vec!["temperature".into()],
        version,
        sequence: true,
        interval: Duration::from_millis(5),
        disorder_ms: 0,
        seed: 1,
    };
    let sensors =
        [sensor("four", Version::V4).start(broker.port()), sensor("five", Version::V5).start(broker.port())];
    let enough = |count: u64| sensors.iter().all(|sensor| sensor.acknowledged() > count);
    wait::until_true("acknowledgements", Duration::from_secs(20), || enough(100));
    broker.stop();
    broker.launch();
    wait::until_true("more acknowledgements", Duration::from_secs(20), || enough(200));
    for sensor in sensors {
        assert!(sensor.finish().len() > 200);
    }
}
