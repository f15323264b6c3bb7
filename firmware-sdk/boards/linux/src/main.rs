//! A sensor in a process of Linux: `cargo run -- 127.0.0.1:1883`. Nothing but `Tcp` and `Disk` would differ on a board.

mod disk;

use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Duration;
use embedded_io_adapters::tokio_1::FromTokio;
use std::hash::{BuildHasher, RandomState};
use std::io::Error;
use tidegate_firmware::{
    Channel, Identity, Input, Keep, Network, OutboxMemory, Publisher, Sampler, Settings, WhenFull,
};
use tokio::net::TcpStream;

const TEMPERATURE: Channel = Channel::new(0, 1).unwrap();

struct Tcp(String);

impl Network for Tcp {
    type Io<'n> = FromTokio<TcpStream>;
    type Error = Error;

    async fn connect(&mut self) -> Result<FromTokio<TcpStream>, Error> {
        TcpStream::connect(&self.0).await.map(FromTokio::new)
    }
}

/// Thousandths of a degree: what Linux says of its first thermal zone.
fn temperature() -> Option<i64> {
    let text = std::fs::read_to_string("/sys/class/thermal/thermal_zone0/temp").ok()?;
    TEMPERATURE.whole(text.trim().parse::<f32>().ok()? / 1_000.0)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let broker = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".into());
    let identity = Identity::Counted { otherwise: RandomState::new().hash_one(()) as u32 };
    let storage = disk::Disk::new("queue.image");
    let mut memory = OutboxMemory::<NoopRawMutex, _, 4_096>::new(storage, &[], WhenFull::Merge, Keep::ALWAYS);
    let outbox = memory.start(&identity);
    let mut sampler = Sampler::new(outbox, Duration::from_secs(1), [Input::each(TEMPERATURE)]);
    let mut settings = Settings::new("linux", "field/linux");
    settings.gather = Duration::from_secs(5);
    let mut publisher = Publisher::<_, _, _, 1_024>::new(outbox, settings);
    let mut network = Tcp(broker);
    // Without a thermal zone it is a sawtooth, so that there is something to see.
    let mut tooth = (0..100).cycle();
    let read = async || [temperature().or_else(|| tooth.next())];
    join(sampler.run(read), publisher.run(&mut network)).await;
}
