//! A sensor on QEMU's `mps2-an386`: samples twenty times a second, queues through outages, publishes to whatever TCP socket its
//! second UART is wired to, and keeps its queue over a reset. The first UART tells what it does.

#![no_std]
#![no_main]

mod clock;
mod log;
mod nonvolatile;
mod stack;
mod uart;

use embassy_executor::Spawner;
use embassy_futures::join::join3;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::{Duration, Timer};
use nonvolatile::Nonvolatile;
use static_cell::ConstStaticCell;
use tidegate_firmware::{
    Channel, Identity, Input, Keep, Merge, Outbox, OutboxMemory, Publisher, Sampler, Settings, WhenFull,
};

/// The number of the sample in this start, and 100,000 times that of the start: no two samples are alike.
const COUNT: Channel = Channel::new(0, 0).unwrap().merged_by(Merge::Last);
/// A temperature, in hundredths of a degree: mean, least and greatest of ten samples.
const MEAN: Channel = Channel::new(1, 2).unwrap();
const LEAST: Channel = Channel::new(2, 2).unwrap().merged_by(Merge::Min);
const GREATEST: Channel = Channel::new(3, 2).unwrap().merged_by(Merge::Max);

const QUEUE_BYTES: usize = 2_048;
const TX_BYTES: usize = 768;

#[embassy_executor::main]
async fn main(_spawner: Spawner) {
    stack::paint();
    clock::start();
    uart::start();
    // The board has no random numbers; a counter in its memory does as well. Were that unreadable, so would the queue be.
    let identity = Identity::Counted { otherwise: 0 };
    static MEMORY: ConstStaticCell<OutboxMemory<NoopRawMutex, Nonvolatile, QUEUE_BYTES>> =
        ConstStaticCell::new(OutboxMemory::new(
            Nonvolatile,
            &[COUNT, LEAST, GREATEST],
            WhenFull::DropOldest,
            Keep::ALWAYS,
        ));
    let outbox: &Outbox<NoopRawMutex, Nonvolatile, QUEUE_BYTES> = MEMORY.take().start(&identity);
    let mut settings = Settings::new("mps2", "field/mps2");
    settings.gather = Duration::from_secs(1);
    settings.timeout = Duration::from_secs(3);
    settings.keep_alive_s = 10;
    settings.backoff_least = Duration::from_millis(200);
    settings.backoff_most = Duration::from_secs(2);
    let mut publisher = Publisher::<_, _, _, TX_BYTES>::new(outbox, settings);
    let mut sampler = Sampler::new(
        outbox,
        Duration::from_millis(50),
        [Input::each(COUNT), Input::folded(LEAST, MEAN, GREATEST, 10)],
    );
    let mut count = 0;
    let sample = async {
        loop {
            let name = i64::from(outbox.boot()) * 100_000 + count;
            sampler.next(&mut async || [Some(name), Some(2_150 + count % 10)]).await;
            log::sample(outbox.boot(), count);
            count += 1;
        }
    };
    let tell = async {
        loop {
            log::report(&outbox.report(), stack::unused());
            Timer::after(Duration::from_millis(500)).await;
        }
    };
    join3(sample, tell, publisher.run(&mut uart::Wire)).await;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    log::line(b"! panic");
    // What is queued is kept: starting again is the best that can be done.
    cortex_m::peripheral::SCB::sys_reset()
}
