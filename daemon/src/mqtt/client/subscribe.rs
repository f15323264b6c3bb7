//! Subscriptions: asked for, granted or refused, and what was refused asked for again.

use super::{Client, Progress};
use crate::ingest::intake::Input;
use crate::limits;
use crate::mqtt::connection::Connection;
use crate::wire::{encode, reasons};
use tokio::time::Instant;

impl Client {
    /// Asks for these filters, a few at a time.
    pub(super) fn ask(
        &self,
        filters: &[String],
        connection: &mut Connection,
        progress: &mut Progress,
    ) -> Result<(), String> {
        progress.to_ask.extend(filters.chunks(limits::FILTERS_PER_PACKET_MAX).map(<[String]>::to_vec));
        self.ask_next(connection, progress)
    }

    fn ask_next(&self, connection: &mut Connection, progress: &mut Progress) -> Result<(), String> {
        if progress.asked.is_none()
            && let Some(filters) = progress.to_ask.pop_front()
        {
            // 0 is none.
            progress.id = progress.id.checked_add(1).unwrap_or(1);
            encode::subscribe(self.version, progress.id, &filters, self.cfg.qos, &mut connection.wire.out)
                .map_err(|fault| fault.to_string())?;
            progress.asked = Some((progress.id, filters));
            progress.answer_by = Instant::now() + limits::HANDSHAKE_TIMEOUT;
        }
        Ok(())
    }

    /// What the broker says to one SUBSCRIBE.
    pub(super) fn answered(
        &mut self,
        id: u16,
        codes: Vec<u8>,
        connection: &mut Connection,
        progress: &mut Progress,
    ) -> Result<(), String> {
        let Some((_, filters)) = progress.asked.take_if(|(asked, _)| *asked == id) else { return Ok(()) };
        if codes.len() != filters.len() {
            return Err("the broker answered SUBSCRIBE with another number of codes".into());
        }
        for (filter, code) in filters.into_iter().zip(codes) {
            match code {
                0x80.. => progress.refused.insert(filter, code),
                _ => progress.refused.remove(&filter),
            };
        }
        self.ask_next(connection, progress)?;
        if progress.asked.is_none() {
            self.subscribed_all(connection, progress);
        }
        Ok(())
    }

    /// Everything that was asked for was granted or refused.
    pub(super) fn subscribed_all(&mut self, connection: &mut Connection, progress: &mut Progress) {
        self.subscribed = progress.refused.is_empty() && self.cfg.session_expiry.is_some();
        progress.ask_again_at =
            (!progress.refused.is_empty()).then(|| Instant::now() + progress.patience.next());
        // As long as the last connections ended at once, this one has to last before all is said to be well.
        if self.closed_soon == 0 {
            self.settled(progress);
        }
        if std::mem::replace(&mut progress.answered, true) {
            return;
        }
        if progress.session_present {
            progress.drained_at = Some(progress.quiet_at(Instant::now()));
        } else {
            connection.tell(Input::Drained { source: self.context.index });
        }
    }

    /// The connection is as good as it gets.
    pub(super) fn settled(&mut self, progress: &Progress) {
        self.closed_soon = 0;
        if progress.refused.is_empty() {
            self.context.well();
        } else {
            let refused: Vec<_> =
                progress.refused.iter().map(|(filter, code)| reasons::suback(*code, filter)).collect();
            self.context.trouble(&refused.join("; "));
        }
    }
}
