//! Waiting for what can be observed, instead of for a time.

use std::time::{Duration, Instant};

/// Asks `look` until it gives something.
///
/// # Panics
/// When it has not after `limit`: the message names `what`, and says what was seen last.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if start.elapsed() > limit => {
                panic!("waited {limit:?} for {what}, in vain: {seen}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// [`until`] for a condition.
///
/// # Panics
/// When it does not hold after `limit`.
pub fn until_true(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    until(what, limit, || if holds() { Ok(()) } else { Err("it does not hold".into()) });
}
