//! Sampling on a ticker.

use crate::fold::Input;
use crate::outbox::Outbox;
use crate::storage::Storage;
use embassy_sync::blocking_mutex::raw::RawMutex;
use embassy_time::{Duration, Instant, Ticker};

/// Reads `N` inputs every so often and puts what they make into the outbox.
pub struct Sampler<'o, M: RawMutex, S, const BYTES: usize, const N: usize> {
    outbox: &'o Outbox<M, S, BYTES>,
    ticker: Ticker,
    inputs: [Input; N],
}

impl<'o, M: RawMutex, S: Storage, const BYTES: usize, const N: usize> Sampler<'o, M, S, BYTES, N> {
    /// The first samples are taken one interval from now.
    pub fn new(outbox: &'o Outbox<M, S, BYTES>, every: Duration, inputs: [Input; N]) -> Self {
        Sampler { outbox, ticker: Ticker::every(every), inputs }
    }

    /// Samples for ever. `read` gives a value for each input, in its channel's units (see [`crate::Channel::whole`]), and `None`
    /// where the sensor did not answer: then there is no reading, rather than a wrong one.
    pub async fn run(&mut self, mut read: impl AsyncFnMut() -> [Option<i64>; N]) -> ! {
        loop {
            self.next(&mut read).await;
        }
    }

    /// Waits for the next tick and samples once. What took longer than the interval is caught up with, so that the rate
    /// stays; a reading has the time at which reading it began.
    pub async fn next(&mut self, read: &mut impl AsyncFnMut() -> [Option<i64>; N]) {
        self.ticker.next().await;
        let ms = now_ms();
        let values = read().await;
        for (input, value) in self.inputs.iter_mut().zip(values) {
            let Some(value) = value else { continue };
            for (channel, ms, value) in input.take(ms, value).into_iter().flatten() {
                self.outbox.put_at(channel, ms, value);
            }
        }
    }
}

/// The uptime in milliseconds. It does not wrap: embassy's clock has 64 bits.
pub(crate) fn now_ms() -> u64 {
    Instant::now().as_millis()
}
