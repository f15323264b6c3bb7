//! What all clients of a listener have sent of packets that are not complete: bounded together, for each may send a large one,
//! and stop before its end.

use crate::limits;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Of all clients.
#[derive(Debug)]
pub(super) struct Unfinished {
    bytes_max: usize,
    all: Mutex<All>,
}

#[derive(Debug, Default)]
struct All {
    bytes: usize,
    /// The turn that the next gets who sends some of its packet.
    turn: u64,
    /// Bytes, and who is told to go, by the turn in which they grew last: the first has been the slowest.
    by_turn: BTreeMap<u64, (usize, oneshot::Sender<()>)>,
}

/// Of one client; given back when dropped.
#[derive(Debug)]
pub(super) struct Account {
    of: Arc<Unfinished>,
    /// What is noted, and where.
    noted: Option<(u64, usize)>,
    /// While nothing is.
    crowded_out: Option<oneshot::Sender<()>>,
}

impl Unfinished {
    /// Room for so many bytes, and for two packets of the largest size.
    pub(super) fn new(packet_bytes_max: usize) -> Arc<Unfinished> {
        Unfinished::within(limits::UNFINISHED_BYTES_MAX.max(packet_bytes_max.saturating_mul(2)))
    }

    /// Room for what all may have sent of a CONNECT.
    pub(super) fn of_connects() -> Arc<Unfinished> {
        Unfinished::within(limits::UNFINISHED_CONNECTS_BYTES_MAX)
    }

    fn within(bytes_max: usize) -> Arc<Unfinished> {
        Arc::new(Unfinished { bytes_max, all: Mutex::default() })
    }

    /// The account of another client, and what tells it that it has to go.
    pub(super) fn join(self: &Arc<Unfinished>) -> (Account, oneshot::Receiver<()>) {
        let (sender, crowded_out) = oneshot::channel();
        (Account { of: Arc::clone(self), noted: None, crowded_out: Some(sender) }, crowded_out)
    }

    fn all(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// So many bytes of a packet are here. What any read may leave costs nothing, and small steps none of the time of others.
    pub(super) fn note(&mut self, bytes: usize) {
        let before = self.noted.map_or(0, |(_, bytes)| bytes);
        let unfinished = bytes > limits::READ_BYTES_MIN;
        let grown = bytes >= before + limits::READ_BYTES_MIN;
        if !unfinished && self.noted.is_none() || unfinished && !grown && bytes >= before {
            return;
        }
        let of = Arc::clone(&self.of);
        let mut all = of.all();
        self.strike(&mut all);
        // Who was told to go has nothing to note any more.
        let Some(sender) = self.crowded_out.take_if(|_| unfinished) else { return };
        let turn = all.turn;
        all.turn += 1;
        all.bytes += bytes;
        all.by_turn.insert(turn, (bytes, sender));
        self.noted = Some((turn, bytes));
        while all.bytes > of.bytes_max
            && let Some((_, (bytes, sender))) = all.by_turn.pop_first()
        {
            all.bytes -= bytes;
            // It may be going already.
            let _ = sender.send(());
        }
    }

    fn strike(&mut self, all: &mut All) {
        let noted = self.noted.take().and_then(|(turn, _)| all.by_turn.remove(&turn));
        if let Some((bytes, sender)) = noted {
            all.bytes -= bytes;
            self.crowded_out = Some(sender);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let of = Arc::clone(&self.of);
        self.strike(&mut of.all());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn bytes(of: &Unfinished) -> usize {
        of.all().bytes
    }

    #[test]
    fn the_slowest_makes_room() {
        let of = Unfinished::new(MIB);
        let mut clients: Vec<_> = (0..33).map(|_| of.join()).collect();
        for (account, _) in &mut clients[..32] {
            account.note(MIB);
        }
        // The first goes on, the second only seems to.
        clients[0].0.note(MIB + limits::READ_BYTES_MIN);
        clients[1].0.note(MIB + 1);
        let gone: Vec<_> = clients.iter_mut().map(|(_, gone)| gone.try_recv().is_ok()).collect();
        assert_eq!(gone.iter().position(|gone| *gone), Some(1), "4 KiB too many: the slowest");
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 1);
        clients[32].0.note(limits::READ_BYTES_MIN);
        assert_eq!(bytes(&of), 31 * MIB + limits::READ_BYTES_MIN, "what any read may leave costs nothing");
        clients[32].0.note(MIB);
        assert!(clients[2].1.try_recv().is_ok());
        // What is complete, or of a client that is gone, makes room.
        clients[3].0.note(0);
        clients.truncate(10);
        assert_eq!(bytes(&of), 7 * MIB + limits::READ_BYTES_MIN);
        clients[1].0.note(5 * MIB);
        assert_eq!(bytes(&of), 7 * MIB + limits::READ_BYTES_MIN, "who has to go notes no more");
        drop(clients);
        assert_eq!(bytes(&of), 0);
    }

    #[test]
    fn there_is_room_for_what_is_allowed() {
        let of = Unfinished::new(100 * MIB);
        let (mut one, mut gone) = of.join();
        let (mut other, _) = of.join();
        one.note(100 * MIB);
        other.note(100 * MIB);
        assert!(gone.try_recv().is_err());
        other.note(101 * MIB);
        assert!(gone.try_recv().is_ok());
    }
}
