//! Subscriptions: asked for, granted or refused, and what was refused asked for again.

use super::Client;
use super::dial::seconds;
use super::progress::Progress;
use crate::ingest::intake::Input;
use crate::limits;
use crate::mqtt::connection::Connection;
use crate::wire::decode::ConnAck;
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
            let id = progress.next_id();
            encode::subscribe(self.version, id, &filters, self.cfg.qos, &mut connection.wire.out)
                .map_err(|fault| fault.to_string())?;
            progress.asked = Some((id, filters));
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
            if code >= 0x80 {
                progress.refused.insert(filter, code);
                continue;
            }
            progress.refused.remove(&filter);
            if code < self.cfg.qos {
                self.unassured.insert(filter);
            }
        }
        self.let_go(connection, progress)?;
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

    /// What a broker of MQTT 5 says in CONNACK that it does not do as asked (section 3.2.2.3). A broker of 3.1.1 cannot say it.
    pub(super) fn lessened(&self, connack: &ConnAck) -> Vec<String> {
        let asked = self.cfg.session_expiry.map_or(0, seconds);
        let session = connack.session_expiry.filter(|granted| *granted < asked);
        let qos = connack.qos_max.filter(|granted| *granted < self.cfg.qos);
        let session = session.map(|granted| reasons::session_expiry(granted, asked));
        session.into_iter().chain(qos.map(|_| reasons::qos_max())).collect()
    }

    /// The connection is as good as it gets.
    pub(super) fn settled(&mut self, progress: &Progress) {
        (self.closed_soon, self.absences) = (0, 0);
        let mut wrong: Vec<String> =
            progress.refused.iter().map(|(filter, code)| reasons::suback(*code, filter)).collect();
        wrong.extend(progress.lessened.iter().cloned());
        if !self.unassured.is_empty() {
            wrong.push(reasons::unassured(&self.unassured));
        }
        if wrong.is_empty() {
            self.context.well();
        } else {
            self.context.trouble(&wrong.join("; "));
        }
    }
}
