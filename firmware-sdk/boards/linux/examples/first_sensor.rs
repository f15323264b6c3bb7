use embassy_futures::join::join;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Duration;
use embedded_io_adapters::tokio_1::FromTokio;
use std::hash::{BuildHasher, RandomState};
use tidegate_firmware::{Channel, Identity, Input, Keep, Network, NoStorage, OutboxMemory};
use tidegate_firmware::{Publisher, Sampler, Settings, WhenFull};
use tokio::net::TcpStream;

const LOAD: Channel = Channel::new(0, 2).unwrap(); // channel 0, two decimals

struct Tcp; // the way to the gateway; on a board, a socket of embassy-net

impl Network for Tcp {
    type Io<'n> = FromTokio<TcpStream>;
    type Error = std::io::Error;
    async fn connect(&mut self) -> Result<Self::Io<'_>, Self::Error> {
        let gateway = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".into());
        TcpStream::connect(gateway).await.map(FromTokio::new)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut memory =
        OutboxMemory::<NoopRawMutex, _, 4_096>::new(NoStorage, &[], WhenFull::Merge, Keep::NEVER);
    let boot = RandomState::new().hash_one(()) as u32; // on a board, from its generator
    let outbox = memory.start(&Identity::Random(boot));
    let mut sampler = Sampler::new(outbox, Duration::from_secs(1), [Input::each(LOAD)]);
    let mut settings = Settings::new("first", "field/first"); // its name, and its topic
    settings.gather = Duration::from_secs(5); // a frame every five seconds
    let mut publisher = Publisher::<_, _, _, 1_024>::new(outbox, settings);
    let read = async || [load()];
    join(sampler.run(read), publisher.run(&mut Tcp)).await;
}

/// What is measured: here how busy this machine is.
fn load() -> Option<i64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    LOAD.whole(text.split(' ').next()?.parse().ok()?)
}
