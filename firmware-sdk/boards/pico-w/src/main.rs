//! A sensor on a Raspberry Pi Pico W: the temperature of a TMP36 on GP26 and that of the chip, every ten seconds, with least, mean
//! and greatest of each minute, over Wi-Fi. README.md says how to wire and flash it.

#![no_std]
#![no_main]

mod flash;
mod radio;
mod tcp;

use embassy_executor::Spawner;
use embassy_futures::join::join;
use embassy_rp::adc::{self, Adc};
use embassy_rp::clocks::RoscRng;
use embassy_rp::gpio::Pull;
use embassy_sync::blocking_mutex::raw::NoopRawMutex;
use embassy_time::Duration;
use static_cell::ConstStaticCell;
use tidegate_firmware::{
    Channel, Identity, Input, Keep, Merge, Outbox, OutboxMemory, Publisher, Sampler, Settings, WhenFull,
};

/// Temperatures in hundredths of a degree: the sensor's mean, least and greatest of a minute, and the chip's.
const MEAN: Channel = Channel::new(0, 2).unwrap();
const LEAST: Channel = Channel::new(1, 2).unwrap();
const GREATEST: Channel = Channel::new(2, 2).unwrap();
const CHIP: Channel = Channel::new(3, 2).unwrap();

/// An image of the queue has to fit into a sector of flash.
const QUEUE_BYTES: usize = flash::IMAGE_BYTES_MAX;

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = embassy_rp::init(embassy_rp::config::Config::default());
    let pins = radio::Pins {
        power: board.PIN_23,
        select: board.PIN_25,
        data: board.PIN_24,
        clock: board.PIN_29,
        pio: board.PIO0,
        dma: board.DMA_CH0,
    };
    let stack = radio::start(spawner, pins).await;

    let identity = Identity::Counted { otherwise: RoscRng.next_u32() };
    type Memory = OutboxMemory<NoopRawMutex, flash::Flash, QUEUE_BYTES>;
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(OutboxMemory::new(
        flash::Flash::new(),
        &[LEAST.merged_by(Merge::Min), GREATEST.merged_by(Merge::Max)],
        WhenFull::Merge,
        Keep::FLASH,
    ));
    let outbox: &Outbox<NoopRawMutex, flash::Flash, QUEUE_BYTES> = MEMORY.take().start(&identity);

    let mut adc = Adc::new_blocking(board.ADC, adc::Config::default());
    let mut sensor = adc::Channel::new_pin(board.PIN_26, Pull::None);
    let mut chip = adc::Channel::new_temp_sensor(board.ADC_TEMP_SENSOR);
    let mut sampler = Sampler::new(
        outbox,
        Duration::from_secs(10),
        [Input::folded(LEAST, MEAN, GREATEST, 6), Input::each(CHIP)],
    );
    let sample = sampler.run(async || {
        let mut volts =
            |channel| adc.blocking_read(channel).ok().map(|steps| f32::from(steps) * (3.3 / 4_096.0));
        // TMP36: 750 mV at 25 °C, 10 mV a degree. RP2040 datasheet, 4.9.5: 706 mV at 27 °C, -1.721 mV a degree.
        let sensor = volts(&mut sensor).map(|volts| 25.0 + (volts - 0.75) * 100.0);
        let chip = volts(&mut chip).map(|volts| 27.0 - (volts - 0.706) / 0.001_721);
        [sensor.and_then(|degrees| MEAN.whole(degrees)), chip.and_then(|degrees| CHIP.whole(degrees))]
    });
    let mut settings = Settings::new(DEVICE, TOPIC);
    if let (Some(user), Some(password)) = (option_env!("TIDEGATE_USER"), option_env!("TIDEGATE_PASSWORD")) {
        settings.login = Some((user, password.as_bytes()));
    }
    let mut publisher = Publisher::<_, _, _, 1_024>::new(outbox, settings);
    let mut network = tcp::Tcp::new(stack);
    join(sample, publisher.run(&mut network)).await;
}

/// What it is called at the broker, and where its frames go: set when it is built.
const DEVICE: &str = match option_env!("TIDEGATE_DEVICE") {
    Some(device) => device,
    None => "pico",
};
const TOPIC: &str = match option_env!("TIDEGATE_TOPIC") {
    Some(topic) => topic,
    None => "field/pico",
};

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // What is queued in flash is kept: starting again is the best that can be done.
    cortex_m::peripheral::SCB::sys_reset()
}
