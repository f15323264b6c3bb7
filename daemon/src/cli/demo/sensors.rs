//! The sensors of the demo: four devices that publish over MQTT 3.1.1, as an ESP32 would, by an ordinary client library.

use crate::clock::Clock;
use rumqttc::{AsyncClient, MqttOptions, QoS};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const DEVICES: usize = 4;
/// Each device measures so often.
const EVERY: Duration = Duration::from_millis(500);
/// A reading this old comes for a window that is closed.
const LATE_MS: i64 = 6_000;

/// All sensors of the greenhouse.
#[derive(Debug)]
pub(super) struct Greenhouse {
    devices: Vec<Device>,
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
struct Device {
    name: String,
    client: AsyncClient,
    sequence: Arc<AtomicU64>,
    tasks: [JoinHandle<()>; 2],
}

impl Greenhouse {
    /// Connects all devices and lets them measure.
    pub(super) fn open(broker: SocketAddr) -> Greenhouse {
        let (stop, stopped) = watch::channel(false);
        let devices = (1..=DEVICES).map(|n| Device::open(n, broker, stopped.clone())).collect();
        Greenhouse { devices, stop }
    }

    /// A device sends the same reading twice, as after a lost acknowledgement.
    pub(super) async fn repeat(&mut self) -> String {
        let device = &self.devices[1];
        let payload = device.payload(21.5, 0);
        device.publish("temperature", &payload).await;
        device.publish("temperature", &payload).await;
        format!("{} sends one reading twice: `duplicate` +1", device.name)
    }

    /// A device measures what cannot be.
    pub(super) async fn impossible(&mut self) -> String {
        let device = &self.devices[2];
        device.publish("temperature", &device.payload(412.0, 0)).await;
        format!("{} measures 412 °C: `rejected` +1 (range)", device.name)
    }

    /// A reading comes for a window that is closed.
    pub(super) async fn late(&mut self) -> String {
        let device = &self.devices[3];
        device.publish("temperature", &device.payload(19.0, LATE_MS)).await;
        format!("{} sends a reading 6 s late: its window is sent again, revision 1", device.name)
    }

    /// The devices finish what they are sending and disconnect.
    pub(super) async fn close(self) {
        let _ = self.stop.send(true);
        for device in self.devices {
            let [measuring, connection] = device.tasks;
            let _ = measuring.await;
            let _ = device.client.disconnect().await;
            // The connection ends with the acknowledgement of everything before the disconnect, or not at all.
            let _ = tokio::time::timeout(Duration::from_secs(5), connection).await;
        }
    }
}

impl Device {
    fn open(number: usize, broker: SocketAddr, mut stopped: watch::Receiver<bool>) -> Device {
        let name = format!("bench-{number}");
        let mut options = MqttOptions::new(&name, broker.ip().to_string(), broker.port());
        options.set_keep_alive(Duration::from_secs(30));
        let (client, mut connection) = AsyncClient::new(options, 16);
        let connection = tokio::spawn(async move { while connection.poll().await.is_ok() {} });
        let sequence = Arc::new(AtomicU64::new(1));
        let (device, counter, topic) = (client.clone(), Arc::clone(&sequence), name.clone());
        let measuring = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            let mut phase = number as f64;
            while !*stopped.borrow() {
                tokio::select! {
                    _ = ticks.tick() => {}
                    _ = stopped.changed() => break,
                }
                phase += 0.05;
                let values =
                    [("temperature", 21.0 + 3.0 * phase.sin()), ("humidity", 60.0 + 8.0 * phase.cos())];
                for (metric, value) in values {
                    let payload = reading(value, 0, counter.fetch_add(1, Ordering::Relaxed));
                    let topic = format!("greenhouse/{topic}/{metric}");
                    if device.publish(topic, QoS::AtLeastOnce, false, payload).await.is_err() {
                        return;
                    }
                }
            }
        });
        Device { name, client, sequence, tasks: [measuring, connection] }
    }

    fn payload(&self, value: f64, late_ms: i64) -> String {
        reading(value, late_ms, self.sequence.fetch_add(1, Ordering::Relaxed))
    }

    async fn publish(&self, metric: &str, payload: &str) {
        let topic = format!("greenhouse/{}/{metric}", self.name);
        // A device whose connection is gone shows in the account: nothing is received from it.
        let _ = self.client.publish(topic, QoS::AtLeastOnce, false, payload).await;
    }
}

fn reading(value: f64, late_ms: i64, sequence: u64) -> String {
    let ts = Clock.now().as_millis() - late_ms;
    format!(r#"{{"value":{value:.2},"seq":{sequence},"ts":{ts}}}"#)
}
