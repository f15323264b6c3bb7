//! Ports for servers that are stopped and started again at the same place.

use std::net::TcpListener;

/// A port that nobody listens on.
///
/// Port 0 would do for a server that starts once. A server that comes back needs its port to stay free while it is away,
/// so the port lies below those that the kernel gives to outgoing connections (32,768 and up by default).
///
/// # Panics
/// When none of a thousand is free.
pub fn reserve() -> u16 {
    (0..1_000)
        .map(|_| fastrand::u16(15_000..32_000))
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok())
        .expect("no free port between 15000 and 32000")
}
