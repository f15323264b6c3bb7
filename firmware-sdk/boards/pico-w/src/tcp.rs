//! The way to the broker: TCP of embassy-net.

use embassy_net::Stack;
use embassy_net::dns::DnsQueryType;
use embassy_net::tcp::TcpSocket;
use embassy_time::Duration;
use tidegate_firmware::Network;

/// Set when it is built: name or address of the gateway or broker, and its port.
const BROKER: &str = match option_env!("TIDEGATE_BROKER") {
    Some(broker) => broker,
    None => "tidegate.local",
};
const PORT: u16 = 1883;

/// Sockets, one after the other, in the same memory.
pub struct Tcp {
    stack: Stack<'static>,
    receive: [u8; 512],
    send: [u8; 1_536],
}

/// Why there is no connection.
#[derive(Debug)]
pub enum Error {
    /// The name of the broker is not known.
    Name,
    /// It does not answer.
    Connect,
}

impl Tcp {
    /// On this network.
    pub fn new(stack: Stack<'static>) -> Tcp {
        Tcp { stack, receive: [0; 512], send: [0; 1_536] }
    }
}

impl Network for Tcp {
    type Io<'n> = TcpSocket<'n>;
    type Error = Error;

    async fn connect(&mut self) -> Result<TcpSocket<'_>, Error> {
        self.stack.wait_config_up().await;
        let found = self.stack.dns_query(BROKER, DnsQueryType::A).await.map_err(|_| Error::Name)?;
        let address = *found.first().ok_or(Error::Name)?;
        let mut socket = TcpSocket::new(self.stack, &mut self.receive, &mut self.send);
        socket.set_timeout(Some(Duration::from_secs(30)));
        socket.connect((address, PORT)).await.map_err(|_| Error::Connect)?;
        Ok(socket)
    }
}
