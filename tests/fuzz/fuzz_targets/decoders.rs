//! Whatever the bytes: no decoder panics, runs long, or takes more memory than libFuzzer allows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tidegate_tests::decoders::Decoders;

thread_local! {
    static DECODERS: RefCell<Decoders> = RefCell::default();
}

fuzz_target!(|data: &[u8]| DECODERS.with_borrow_mut(|decoders| decoders.read(data)));
