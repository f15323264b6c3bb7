//! How deep the stack ever was: what lies below it is painted at the start and looked at later.

use core::ptr::addr_of;

const PAINT: u32 = 0x5a5a_5a5a;

unsafe extern "C" {
    /// The end of static memory (cortex-m-rt).
    static __sheap: u32;
}

/// Paints what is free.
pub fn paint() {
    let here = cortex_m::register::msp::read() as usize;
    let mut at = addr_of!(__sheap) as usize;
    // Some room for this very function.
    while at + 256 < here {
        // SAFETY: between the end of static memory and the top of the stack nothing is; both ends are aligned.
        unsafe { core::ptr::write_volatile(at as *mut u32, PAINT) };
        at += 4;
    }
}

/// Bytes that no stack has touched since.
pub fn unused() -> u32 {
    let here = cortex_m::register::msp::read() as usize;
    let start = addr_of!(__sheap) as usize;
    let mut at = start;
    // SAFETY: as above, and only read.
    while at < here && unsafe { core::ptr::read_volatile(at as *const u32) } == PAINT {
        at += 4;
    }
    (at - start) as u32
}
