//! A network that fails: a TCP proxy that can be cut, stalled, slowed down, or closed, in either direction.

use crate::port;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long a pump waits for bytes before it looks whether the network has changed.
const LOOK: Duration = Duration::from_millis(10);

/// What becomes of bytes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    #[default]
    Pass,
    /// They stay where they are: nobody is told that nobody listens. In one direction only this is a half-open connection.
    Stall,
    /// So many of them pass in a second.
    Slow(u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    up: Flow,
    down: Flow,
    /// Whether somebody listens.
    closed: bool,
    /// Connections of an earlier number are cut.
    cut: u64,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    connections: AtomicU64,
    stop: AtomicBool,
}

/// A running proxy. Ends with the value.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Leads to the server at `port` on this machine, which need not be there yet.
    ///
    /// # Panics
    /// When there is no port for it.
    pub fn to(port: u16) -> Proxy {
        let address = SocketAddr::from(([127, 0, 0, 1], port::reserve()));
        let target = SocketAddr::from(([127, 0, 0, 1], port));
        let shared = Arc::new(Shared::default());
        let mine = shared.clone();
        let listener = TcpListener::bind(address).expect("a port for the proxy");
        let thread = std::thread::spawn(move || accept(address, Some(listener), target, &mine));
        Proxy { address, shared, thread: Some(thread) }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Ends every connection, as when a router forgets them; new ones may be made.
    pub fn cut(&self) {
        self.state().cut += 1;
    }

    /// What becomes of bytes from the client to the server, and back.
    pub fn set(&self, up: Flow, down: Flow) {
        let mut state = self.state();
        (state.up, state.down) = (up, down);
    }

    /// Everything passes again.
    pub fn mend(&self) {
        self.set(Flow::Pass, Flow::Pass);
    }

    /// Ends every connection and refuses new ones until [`Proxy::open`].
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.cut += 1;
    }

    /// Takes connections again.
    pub fn open(&self) {
        self.state().closed = false;
    }

    /// Connections so far, whatever became of them.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().expect("the state of the network")
    }
}

impl Shared {
    fn now(&self) -> State {
        *self.state.lock().expect("the state of the network")
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn accept(address: SocketAddr, mut listener: Option<TcpListener>, target: SocketAddr, shared: &Arc<Shared>) {
    while !shared.stopped() {
        if shared.now().closed {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).ok();
        }
        let accepted = listener.as_ref().and_then(|listener| {
            listener.set_nonblocking(true).ok()?;
            listener.accept().ok()
        });
        let Some((client, _)) = accepted else {
            std::thread::sleep(LOOK);
            continue;
        };
        shared.connections.fetch_add(1, Ordering::Relaxed);
        // Where the server is away its clients are cut off.
        let Ok(server) = TcpStream::connect(target) else { continue };
        let _still_blocking = client.set_nonblocking(false);
        join(&client, &server, shared);
    }
}

/// Two pumps, each on a thread of its own.
fn join(client: &TcpStream, server: &TcpStream, shared: &Arc<Shared>) {
    let born = shared.now().cut;
    for (from, to, up) in [(client, server, true), (server, client, false)] {
        let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
        let shared = shared.clone();
        std::thread::spawn(move || {
            let _broken = pump(&from, &to, up, born, &shared);
            // Both ways: whoever waits for the other end learns that it is gone.
            let _gone_already = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    up: bool,
    born: u64,
    shared: &Shared,
) -> std::io::Result<()> {
    from.set_read_timeout(Some(LOOK))?;
    to.set_nodelay(true)?;
    // A receiver that does not read must not hold the pump for ever.
    to.set_write_timeout(Some(Duration::from_secs(30)))?;
    let mut buffer = [0; 16 << 10];
    loop {
        let state = shared.now();
        if state.cut != born || shared.stopped() {
            return Ok(());
        }
        let room = match if up { state.up } else { state.down } {
            Flow::Pass => buffer.len(),
            Flow::Stall => {
                std::thread::sleep(LOOK);
                continue;
            }
            Flow::Slow(rate) => {
                std::thread::sleep(LOOK);
                (rate as usize / 100).clamp(1, buffer.len())
            }
        };
        match from.read(&mut buffer[..room]) {
            Ok(0) => return Ok(()),
            Ok(len) => to.write_all(&buffer[..len])?,
            // A process that was stopped and goes on is told so where it waits with a time-out (signal(7)).
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait;
    use std::time::Instant;

    /// An echo behind a proxy.
    fn stage() -> (Proxy, TcpStream) {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::to(server.local_addr().unwrap().port());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = server.accept() {
                std::thread::spawn(move || {
                    let mut copy = stream.try_clone().unwrap();
                    let _ended = std::io::copy(&mut stream, &mut copy);
                });
            }
        });
        let client = connect(&proxy);
        (proxy, client)
    }

    fn connect(proxy: &Proxy) -> TcpStream {
        let client = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        client
    }

    /// What comes back of `text`, within the time-out.
    fn echo(client: &mut TcpStream, text: &str) -> std::io::Result<String> {
        client.write_all(text.as_bytes())?;
        let mut bytes = vec![0; text.len()];
        client.read_exact(&mut bytes)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn passes_cuts_and_refuses() {
        let (proxy, mut client) = stage();
        assert_eq!(echo(&mut client, "hello").unwrap(), "hello");
        proxy.cut();
        wait::until_true("the cut", Duration::from_secs(20), || echo(&mut client, "x").is_err());
        let mut client = connect(&proxy);
        assert_eq!(echo(&mut client, "again").unwrap(), "again");
        assert_eq!(proxy.connections(), 2);
        proxy.close();
        let refused = || TcpStream::connect(("127.0.0.1", proxy.port())).is_err();
        wait::until_true("nobody to listen", Duration::from_secs(20), refused);
        proxy.open();
        wait::until_true("somebody to listen", Duration::from_secs(20), || !refused());
    }

    #[test]
    fn stalls_in_one_direction_and_goes_on() {
        let (proxy, mut client) = stage();
        for (up, down) in [(Flow::Stall, Flow::Pass), (Flow::Pass, Flow::Stall), (Flow::Stall, Flow::Stall)] {
            proxy.set(up, down);
            // A pump may have asked just before.
            std::thread::sleep(5 * LOOK);
            assert!(echo(&mut client, "later").is_err(), "{up:?} {down:?}");
            proxy.mend();
            let mut bytes = [0; 5];
            client.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"later", "nothing is lost that is only late");
        }
    }

    #[test]
    fn slow_is_slow() {
        let (proxy, mut client) = stage();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        proxy.set(Flow::Slow(2_000), Flow::Pass);
        std::thread::sleep(5 * LOOK);
        let start = Instant::now();
        let text = "x".repeat(1_000);
        assert_eq!(echo(&mut client, &text).unwrap(), text);
        assert!(start.elapsed() > Duration::from_millis(400), "{:?}", start.elapsed());
    }
}
