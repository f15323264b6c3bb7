//! The CYW43439 of the Pico W, by PIO, and an address by DHCP.

use cyw43::{Control, JoinOptions, NetDriver, PowerManagementMode, Runner, State};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use embassy_executor::Spawner;
use embassy_net::{Config, Stack, StackResources};
use embassy_rp::Peri;
use embassy_rp::clocks::RoscRng;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIN_23, PIN_24, PIN_25, PIN_29, PIO0};
use embassy_rp::pio::{InterruptHandler, Pio};
use embassy_time::{Duration, Timer};
use static_cell::StaticCell;

embassy_rp::bind_interrupts!(struct Irqs {
    PIO0_IRQ_0 => InterruptHandler<PIO0>;
});

/// Set when it is built: name and password of the network. Without a password it is taken for an open one.
const NETWORK: &str = match option_env!("WIFI_NETWORK") {
    Some(name) => name,
    None => "tidegate",
};
const PASSWORD: Option<&str> = option_env!("WIFI_PASSWORD");

/// What the radio is wired to on the Pico W.
pub struct Pins {
    pub power: Peri<'static, PIN_23>,
    pub select: Peri<'static, PIN_25>,
    pub data: Peri<'static, PIN_24>,
    pub clock: Peri<'static, PIN_29>,
    pub pio: Peri<'static, PIO0>,
    pub dma: Peri<'static, DMA_CH0>,
}

type Spi = PioSpi<'static, PIO0, 0, DMA_CH0>;

/// Switches it on, and has it join the network and stay there. The address comes later.
pub async fn start(spawner: Spawner, pins: Pins) -> Stack<'static> {
    let (power, select) = (Output::new(pins.power, Level::Low), Output::new(pins.select, Level::High));
    let mut pio = Pio::new(pins.pio, Irqs);
    let spi = PioSpi::new(
        &mut pio.common,
        pio.sm0,
        DEFAULT_CLOCK_DIVIDER,
        pio.irq0,
        select,
        pins.data,
        pins.clock,
        pins.dma,
    );
    static STATE: StaticCell<State> = StaticCell::new();
    let state = STATE.init_with(State::new);
    let (device, mut control, runner) = cyw43::new(state, power, spi, cyw43_firmware::CYW43_43439A0).await;
    let _only_once = spawner.spawn(drive_radio(runner));
    control.init(cyw43_firmware::CYW43_43439A0_CLM).await;
    control.set_power_management(PowerManagementMode::PowerSave).await;

    static RESOURCES: StaticCell<StackResources<3>> = StaticCell::new();
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) =
        embassy_net::new(device, Config::dhcpv4(Default::default()), resources, RoscRng.next_u64());
    let _only_once = spawner.spawn(drive_network(runner));
    let _only_once = spawner.spawn(stay_joined(control, stack));
    stack
}

#[embassy_executor::task]
async fn drive_radio(runner: Runner<'static, Output<'static>, Spi>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn drive_network(mut runner: embassy_net::Runner<'static, NetDriver<'static>>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn stay_joined(mut control: Control<'static>, stack: Stack<'static>) -> ! {
    loop {
        let options = PASSWORD.map_or_else(JoinOptions::new_open, |word| JoinOptions::new(word.as_bytes()));
        if control.join(NETWORK, options).await.is_ok() {
            stack.wait_link_up().await;
            stack.wait_link_down().await;
        }
        Timer::after(Duration::from_secs(5)).await;
    }
}
