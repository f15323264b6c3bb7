//! The transport under a connection: a stream, with what was read from it and what is to be written to it.

use super::reader::Reader;
use super::unfinished::Account;
use crate::config::model::Protocol;
use crate::wire::decode::Packet;
use crate::wire::dial::Stream;
use crate::wire::frame::Fault;
use bytes::{Buf, BytesMut};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Over {
    /// The other end closed it.
    #[error("the other end closed the connection")]
    Closed,
    /// The network did.
    #[error("the connection broke: {0}")]
    Io(#[from] std::io::Error),
    /// The other end did something that it must not do.
    #[error("the other end sent {0}")]
    Fault(#[from] Fault),
}

impl Over {
    /// Whether the other end closed, in one way or another: which of them it is, is chance.
    pub(super) fn is_end(&self) -> bool {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match self {
            Over::Closed => true,
            Over::Io(error) => matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof),
            Over::Fault(_) => false,
        }
    }
}

/// The transport: a stream, what was read from it and what is to be written to it.
pub(super) struct Wire {
    stream: Box<dyn Stream>,
    pub(super) reader: Reader,
    /// What is to be written next. Append to it, then let the wire turn.
    pub(super) out: BytesMut,
    /// A TLS stream keeps bytes to itself until it is flushed.
    unflushed: bool,
}

/// What [`Wire::turn`] did.
pub(super) enum Turn {
    /// So many bytes.
    Read(usize),
    Written,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>, packet_bytes_max: usize) -> Wire {
        Wire { stream, reader: Reader::new(packet_bytes_max), out: BytesMut::new(), unflushed: false }
    }

    /// The next packet of a handshake; writes what is to be written meanwhile. What is here of it goes into `account`, where
    /// it has to share room with others. Cancel safe.
    pub(super) async fn packet(
        &mut self,
        version: Option<Protocol>,
        mut account: Option<&mut Account>,
    ) -> Result<Packet, Over> {
        loop {
            if let Some(packet) = self.reader.take_one(version)? {
                return Ok(packet);
            }
            if let Some(account) = &mut account {
                account.note(self.reader.len());
            }
            self.turn(true).await?;
        }
    }

    /// Writes all of `out`, for at most `limit`.
    pub(super) async fn write_out(&mut self, limit: Duration) -> Result<(), Over> {
        let written = async {
            while !self.is_written() {
                self.turn(false).await?;
            }
            Ok(())
        };
        match tokio::time::timeout(limit, written).await {
            Ok(result) => result,
            Err(_) => Err(Over::Io(std::io::ErrorKind::TimedOut.into())),
        }
    }

    /// Whether the other end closes within `limit`, as it should behind a DISCONNECT. What it sends until then is thrown
    /// away: it keeps what is not acknowledged.
    pub(super) async fn closes(&mut self, limit: Duration) -> bool {
        let closing = async {
            loop {
                match self.turn(true).await {
                    Ok(_) => self.reader.clear(),
                    Err(Over::Closed) => return true,
                    // So TLS says that the other end closed without a word.
                    Err(Over::Io(error)) => return error.kind() == std::io::ErrorKind::UnexpectedEof,
                    Err(Over::Fault(_)) => return false,
                }
            }
        };
        tokio::time::timeout(limit, closing).await.unwrap_or(false)
    }

    pub(super) fn is_written(&self) -> bool {
        self.out.is_empty() && !self.unflushed
    }

    /// Writes or reads something. Cancel safe: whatever happened is in the buffers.
    pub(super) async fn turn(&mut self, reading: bool) -> Result<Turn, Over> {
        poll_fn(|cx| {
            let mut stream = Pin::new(&mut *self.stream);
            let mut written = false;
            while !self.out.is_empty() {
                match stream.as_mut().poll_write(cx, &self.out)? {
                    Poll::Ready(0) => return Poll::Ready(Err(Over::Closed)),
                    Poll::Ready(count) => {
                        self.out.advance(count);
                        self.unflushed = true;
                        written = true;
                    }
                    Poll::Pending => break,
                }
            }
            if self.unflushed && stream.as_mut().poll_flush(cx)?.is_ready() {
                self.unflushed = false;
                written = true;
            }
            if written {
                return Poll::Ready(Ok(Turn::Written));
            }
            if !reading {
                return Poll::Pending;
            }
            let room = self.reader.room();
            let space = room.capacity() - room.len();
            // The future keeps no state between polls: making a new one each time loses nothing.
            match ready!(pin!(stream.read_buf(room)).poll(cx))? {
                0 => Poll::Ready(Err(Over::Closed)),
                count => {
                    self.reader.filled(count == space);
                    Poll::Ready(Ok(Turn::Read(count)))
                }
            }
        })
        .await
    }
}
