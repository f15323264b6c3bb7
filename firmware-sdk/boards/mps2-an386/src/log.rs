//! What the board says on its first UART: a line for each sample that is queued, and its counters. Without `core::fmt`, which
//! alone takes some kilobytes.

use crate::uart::talk;
use tidegate_firmware::Report;

/// `+ boot number`: this sample is in the queue, and the queue is saved.
pub fn sample(boot: u32, count: i64) {
    talk(b"+");
    number(boot.into());
    number(count.unsigned_abs());
    talk(b"\n");
}

/// `= …`: the counters, in the order of [`Report`], and the bytes of stack that were never used.
pub fn report(report: &Report, stack: u32) {
    let Report {
        queued,
        delivered,
        dropped,
        merged,
        restored,
        resent,
        connections,
        failures,
        storage_failures,
    } = *report;
    talk(b"=");
    for value in
        [queued, delivered, dropped, merged, restored, resent, connections, failures, storage_failures, stack]
    {
        number(value.into());
    }
    talk(b"\n");
}

/// A line as it is.
pub fn line(text: &[u8]) {
    talk(text);
    talk(b"\n");
}

fn number(mut value: u64) {
    let mut digits = [b' '; 21];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    talk(b" ");
    let blanks = digits.iter().take_while(|&&digit| digit == b' ').count();
    talk(digits.get(blanks..).unwrap_or_default());
}
