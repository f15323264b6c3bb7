//! The two UARTs (CMSDK APB UART, Arm DDI 0479, section 4.3). The second one is the way to the broker: QEMU wires it to a
//! TCP socket, so what is written to it is what a broker reads.

use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embedded_io_async::{ErrorType, Read, Write};
use tidegate_firmware::Network;

/// UART1 receives: interrupt 2 (Arm DAI 0386, table 3-7).
const RX_IRQ: i16 = 2;

const TX_FULL: u32 = 1;
const RX_FULL: u32 = 2;
const ENABLE: u32 = 1 | 2;
const RX_INTERRUPT: u32 = 8;

#[derive(Clone, Copy)]
struct Uart(usize);

const TALK: Uart = Uart(0x4000_4000);
const WIRE: Uart = Uart(0x4000_5000);

impl Uart {
    const DATA: usize = 0x0;
    const STATE: usize = 0x4;
    const CTRL: usize = 0x8;
    const INTERRUPTS: usize = 0xc;
    const DIVIDER: usize = 0x10;

    fn read(self, register: usize) -> u32 {
        // SAFETY: a register of a UART that every AN386 has at this address; reading it has no effect on memory.
        unsafe { core::ptr::read_volatile((self.0 + register) as *const u32) }
    }

    fn write(self, register: usize, value: u32) {
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile((self.0 + register) as *mut u32, value) }
    }

    fn is_full(self) -> bool {
        self.read(Uart::STATE) & TX_FULL != 0
    }
}

/// What came and was not read yet.
static RECEIVED: Pipe<CriticalSectionRawMutex, 256> = Pipe::new();

/// Switches both on.
pub fn start() {
    TALK.write(Uart::DIVIDER, 16);
    TALK.write(Uart::CTRL, 1);
    WIRE.write(Uart::DIVIDER, 16);
    WIRE.write(Uart::CTRL, ENABLE | RX_INTERRUPT);
    struct Line;
    // SAFETY: interrupt 2 exists, and Arm numbers are what NVIC takes.
    unsafe impl cortex_m::interrupt::InterruptNumber for Line {
        fn number(self) -> u16 {
            RX_IRQ as u16
        }
    }
    impl Clone for Line {
        fn clone(&self) -> Self {
            *self
        }
    }
    impl Copy for Line {}
    // SAFETY: the handler below is ready, and nothing relies on this interrupt being off.
    unsafe { cortex_m::peripheral::NVIC::unmask(Line) };
}

/// Without a device crate all interrupts come here; this one alone is on.
#[cortex_m_rt::exception]
unsafe fn DefaultHandler(irq: i16) {
    if irq != RX_IRQ {
        return;
    }
    WIRE.write(Uart::INTERRUPTS, 2);
    while WIRE.read(Uart::STATE) & RX_FULL != 0 {
        if RECEIVED.is_full() {
            // The rest waits in the UART, and QEMU with it, until there is room again.
            return WIRE.write(Uart::CTRL, ENABLE);
        }
        let byte = WIRE.read(Uart::DATA) as u8;
        let _there_is_room = RECEIVED.try_write(&[byte]);
    }
}

/// Writes to the first UART.
pub fn talk(bytes: &[u8]) {
    for &byte in bytes {
        while TALK.is_full() {}
        TALK.write(Uart::DATA, byte.into());
    }
}

/// The way to the broker. There is always one, as far as a UART knows; whether somebody is at its other end, MQTT finds out.
pub struct Wire;

impl Network for Wire {
    type Io<'n> = Wire;
    type Error = Infallible;

    async fn connect(&mut self) -> Result<Wire, Infallible> {
        // What the last connection left is not ours.
        let mut old = [0; 64];
        while RECEIVED.try_read(&mut old).is_ok() {
            WIRE.write(Uart::CTRL, ENABLE | RX_INTERRUPT);
        }
        Ok(Wire)
    }
}

impl ErrorType for Wire {
    type Error = Infallible;
}

impl Read for Wire {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let len = RECEIVED.read(buffer).await;
        WIRE.write(Uart::CTRL, ENABLE | RX_INTERRUPT);
        Ok(len)
    }
}

impl Write for Wire {
    /// Waits for room for one byte at most, so that nothing is written that is not told when this is dropped half-way.
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        poll_fn(|context| {
            if WIRE.is_full() {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            Poll::Ready(())
        })
        .await;
        let mut written = 0;
        for &byte in bytes {
            if WIRE.is_full() {
                break;
            }
            WIRE.write(Uart::DATA, byte.into());
            written += 1;
        }
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
