//! The way to a broker, which each board brings along.

use core::fmt::Debug;
use embedded_io_async::{Read, Write};

/// Opens connections: a TCP socket of embassy-net, TLS around one, a modem, a UART.
#[allow(async_fn_in_trait, reason = "executors of firmware have one thread: no future needs to be `Send`")]
pub trait Network {
    /// An open connection. Dropping it closes it. Reading waits while nothing comes, and gives 0 at the end. A read or write that
    /// is dropped before it is done must have taken or sent nothing: publishing stops waiting whenever a reading comes.
    type Io<'n>: Read + Write
    where
        Self: 'n;
    /// Why there is none.
    type Error: Debug;

    /// Opens one. It may take long; the publisher gives up after its own time-out and asks again.
    ///
    /// # Errors
    /// When there is no way just now.
    async fn connect(&mut self) -> Result<Self::Io<'_>, Self::Error>;
}
