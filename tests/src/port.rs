//! Ports for servers that are stopped and started again at the same place.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::{Mutex, PoisonError};

/// So many of the ports given out last are kept from everybody else. Tests have fewer at a time; each takes a file descriptor.
const KEPT: usize = 200;

static GIVEN: Mutex<VecDeque<UnixDatagram>> = Mutex::new(VecDeque::new());

/// A port that nobody listens on.
///
/// Port 0 would do for a server that starts once. A server that comes back needs its port to stay free while it is away,
/// so the port lies below those that the kernel gives to outgoing connections (32,768 and up by default), and no other test,
/// of this program or of another one on this machine, is given it or tries it meanwhile.
///
/// # Panics
/// When none of a thousand is free.
pub fn reserve() -> u16 {
    let (port, claim) = (0..1_000)
        .map(|_| fastrand::u16(15_000..32_000))
        .find_map(|port| {
            let claim = claim(port)?;
            TcpListener::bind(("127.0.0.1", port)).is_ok().then_some((port, claim))
        })
        .expect("no free port between 15000 and 32000");
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    if given.len() == KEPT {
        given.pop_front();
    }
    given.push_back(claim);
    port
}

/// A name that one process can have at a time, and has to its end (unix(7), abstract sockets); none where somebody has it.
fn claim(port: u16) -> Option<UnixDatagram> {
    let name = SocketAddr::from_abstract_name(format!("tidegate-tests/port/{port}")).ok()?;
    UnixDatagram::bind_addr(&name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_nobody_else_gets() {
        let port = reserve();
        assert!(claim(port).is_none());
        assert!(TcpListener::bind(("127.0.0.1", port)).is_ok(), "it is free for its server");
    }
}
