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
    // A server that is killed in the midst of an answer has not answered.
    let length = head.lines().filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    if length.is_some_and(|length| body.len() < length) {
        return Err("the answer was cut off".into());
    }
    let code = head.split_ascii_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok((code.ok_or("the answer has no status code")?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn half_an_answer_is_none() {
        for (answer, expected) in [
            ("HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\n{\"a\"", Some("{\"a\"")),
            ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n{\"a\"", None),
            ("HTTP/1.0 200 OK\r\n\r\nto the end", Some("to the end")),
            ("HTTP/1.0 200 OK\r\n", None),
        ] {
            let server = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = server.local_addr().unwrap();
            let thread = std::thread::spawn(move || {
                let (mut stream, _) = server.accept().unwrap();
                let mut request = [0; 1_024];
                let _whole = stream.read(&mut request).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let got = get(address, "/").ok();
            assert_eq!(got, expected.map(|body| (200, body.to_owned())), "{answer}");
            thread.join().unwrap();
        }
    }
}
