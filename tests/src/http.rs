//! The least HTTP client that can ask a status page: one request, one connection, no redirects.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long any step of a request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends one request and gives status code and body.
///
/// HTTP/1.0, so that the server neither keeps the connection nor sends the body in chunks.
///
/// # Errors
/// What went wrong with the connection, or that the answer is not HTTP.
pub fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
    exchange(address, method, path, body).map_err(|e| format!("{method} http://{address}{path}: {e}"))
}

/// GET.
///
/// # Errors
/// See [`request`].
pub fn get(address: SocketAddr, path: &str) -> Result<(u16, String), String> {
    request(address, "GET", path, "")
}

fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, String), String> {
    let say = |e: std::io::Error| e.to_string();
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).map_err(say)?;
    stream.set_read_timeout(Some(TIMEOUT)).map_err(say)?;
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).map_err(say)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(say)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer has no end of headers")?;
    let code = head.split_ascii_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok((code.ok_or("the answer has no status code")?, body.to_owned()))
}
