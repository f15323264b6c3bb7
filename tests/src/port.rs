//! Ports for servers that are stopped and started again at the same place.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

/// So many of the ports given out last are not given out again. Tests have fewer at a time.
const REMEMBERED: usize = 1_000;

static GIVEN: Mutex<VecDeque<u16>> = Mutex::new(VecDeque::new());

/// A port that nobody listens on.
///
/// Port 0 would do for a server that starts once. A server that comes back needs its port to stay free while it is away,
/// so the port lies below those that the kernel gives to outgoing connections (32,768 and up by default). Tests of one
/// program run beside each other: what one of them was given no other gets, or even tries, while its server is away.
///
/// # Panics
/// When none of a thousand is free.
pub fn reserve() -> u16 {
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let port = (0..1_000)
        .map(|_| fastrand::u16(15_000..32_000))
        .find(|port| !given.contains(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("no free port between 15000 and 32000");
    if given.len() == REMEMBERED {
        given.pop_front();
    }
    given.push_back(port);
    port
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Of 900 among 17,000 some two dozen would be the same by chance.
    #[test]
    fn nobody_gets_what_another_was_given() {
        let ports: BTreeSet<u16> = (0..900).map(|_| reserve()).collect();
        assert_eq!(ports.len(), 900);
    }
}
