//! Publishing: MQTT 5 at QoS 1, one frame under way at a time.
//!
//! Each connection is a session of its own, and a frame that was not acknowledged is written anew for the next: with the same
//! numbers, so that its readings count once, and with the uptime of that moment, from which the gateway learns the time. A
//! session that outlives its connection would send old bytes instead (docs/decisions/0007-minimq-without-its-session.md).

mod settings;

use crate::backoff::Backoff;
use crate::identity::hash;
use crate::network::Network;
use crate::outbox::{Due, Outbox};
use crate::queue::TooSmall;
use crate::sampler::now_ms;
use crate::storage::Storage;
use embassy_futures::select::{Either3, select3};
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, Timer, with_timeout};
use minimq::{Buffers, ConfigBuilder, Connection, Io, PubError, Publication, QoS, Session};
pub use settings::{Settings, Trouble};

/// Room for what a broker says: CONNACK with its properties, PUBACK with a reason.
const RX_BYTES: usize = 256;

/// Sends what is in the outbox. `TX` bytes hold one frame with its topic, and beside it room for a CONNECT; 1,024 are usual.
pub struct Publisher<'a, M: RawMutex, S, const BYTES: usize, const TX: usize> {
    outbox: &'a Outbox<M, S, BYTES>,
    settings: Settings<'a>,
    backoff: Backoff,
    rx: [u8; RX_BYTES],
    tx: [u8; TX],
}

/// How long to go on with a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// It ends by itself.
    End,
    /// Nothing waits any more.
    Empty,
}

impl<'a, M: RawMutex, S: Storage, const BYTES: usize, const TX: usize> Publisher<'a, M, S, BYTES, TX> {
    /// Publishes what is in `outbox`.
    pub fn new(outbox: &'a Outbox<M, S, BYTES>, settings: Settings<'a>) -> Self {
        // No two devices and no two starts come back at the same moments.
        let seed = u64::from(hash(settings.client_id.as_bytes())) << 32 | u64::from(outbox.boot());
        let backoff = Backoff::new(millis(settings.backoff_least), millis(settings.backoff_most), seed);
        Publisher { outbox, settings, backoff, rx: [0; RX_BYTES], tx: [0; TX] }
    }

    /// Publishes for ever: connects, stays connected, and comes back after each failure, later each time.
    pub async fn run<N: Network>(&mut self, network: &mut N) -> ! {
        loop {
            let ended = self.connection(network, Until::End).await;
            if let Err(trouble) = ended {
                log_trouble(trouble);
            }
            Timer::after(Duration::from_millis(self.backoff.next().into())).await;
        }
    }

    /// Publishes all that waits on one connection and ends it: for devices that switch their radio on for that.
    ///
    /// # Errors
    /// When something is left; why.
    pub async fn deliver<N: Network>(&mut self, network: &mut N) -> Result<(), Trouble> {
        self.connection(network, Until::Empty).await
    }

    async fn connection<N: Network>(&mut self, network: &mut N, until: Until) -> Result<(), Trouble> {
        let ended = self.serve(network, until).await;
        if ended.is_err() {
            self.outbox.disconnected();
        }
        ended
    }

    async fn serve<N: Network>(&mut self, network: &mut N, until: Until) -> Result<(), Trouble> {
        let Publisher { outbox, settings, backoff, rx, tx } = self;
        let patience = settings.timeout;
        let io = with_timeout(patience, network.connect()).await.map_err(|_| Trouble::NoAnswer)?;
        let io = io.map_err(|_| Trouble::Network)?;
        let config = ConfigBuilder::new(Buffers::new(rx, tx)).keepalive_interval(settings.keep_alive_s);
        let mut config = config.client_id(settings.client_id).map_err(|_| Trouble::Settings)?;
        if let Some((user, password)) = settings.login {
            config = config.auth(user, password).map_err(|_| Trouble::Settings)?;
        }
        let mut session = Session::new(config);
        let connected = with_timeout(patience, session.connect(io)).await;
        let mut connection =
            connected.map_err(|_| Trouble::NoAnswer)?.map_err(|error| Trouble::of(&error))?;
        outbox.connected();
        log_connected();
        let (gather, enough) = match until {
            Until::End => (millis(settings.gather), settings.enough),
            Until::Empty => (0, 1),
        };
        loop {
            let next = match outbox.due(now_ms(), gather.into(), enough) {
                Due::Now => {
                    send(*outbox, settings, &mut connection).await?;
                    backoff.reset();
                    continue;
                }
                Due::Never if until == Until::Empty => {
                    // The broker has everything; whether it hears that we leave changes nothing.
                    let _left = with_timeout(patience, connection.disconnect()).await;
                    return Ok(());
                }
                Due::At(ms) => ms.saturating_sub(now_ms()),
                // The connection is kept alive by `poll`; this is only a bound.
                Due::Never => 3_600_000,
            };
            let wait = Timer::after(Duration::from_millis(next));
            if let Either3::First(Err(error)) = select3(connection.poll(), outbox.more(), wait).await {
                return Err(Trouble::of(&error));
            }
        }
    }
}

/// Sends a frame and waits for its acknowledgement. Only then its readings leave the queue.
async fn send<M: RawMutex, S: Storage, I: Io, const BYTES: usize>(
    outbox: &Outbox<M, S, BYTES>,
    settings: &Settings<'_>,
    connection: &mut Connection<'_, '_, I>,
) -> Result<(), Trouble> {
    // The frame is written straight into the packet: its `sent` is of this moment, and no second buffer is needed.
    let frame =
        |room: &mut [u8]| outbox.frame(room, now_ms()).map(|frame| frame.map_or(0, |frame| frame.len));
    let publish = Publication::new(settings.topic, frame).qos(QoS::AtLeastOnce);
    let sent = async {
        let published = connection.publish(publish).await.map_err(|error| match error {
            PubError::Session(error) => Trouble::of(&error),
            PubError::Payload(TooSmall) => Trouble::Settings,
        })?;
        let Some(published) = published else { return Err(Trouble::Settings) };
        while connection.is_pending(&published) {
            connection.poll().await.map_err(|error| Trouble::of(&error))?;
        }
        if connection.is_complete(&published) { Ok(()) } else { Err(Trouble::Closed) }
    };
    with_timeout(settings.timeout, sent).await.map_err(|_| Trouble::NoAnswer)??;
    outbox.acknowledged();
    Ok(())
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(feature = "defmt")]
fn log_trouble(trouble: Trouble) {
    defmt::warn!("tidegate: {}", trouble);
}

#[cfg(not(feature = "defmt"))]
fn log_trouble(_: Trouble) {}

#[cfg(feature = "defmt")]
fn log_connected() {
    defmt::info!("tidegate: connected");
}

#[cfg(not(feature = "defmt"))]
fn log_connected() {}
