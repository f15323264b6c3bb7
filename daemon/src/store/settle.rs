//! What became of events at their outputs: out of the outbox, into the account, and to the dead letters where refused.

use super::closed::{self, ClosedTable, Place, Queues, window};
use super::commit::{Fate, Settlement};
use super::row::unpack_value;
use super::schema::{CLOSED, LETTERS, Letter, LetterCounts, OUTBOX, Reference};
use super::{Doing, StoreError};
use redb::{ReadableTable, Table, WriteTransaction};
use tidegate_pipeline::time::Time;

/// What waits, open for writing.
type Outbox<'t> = Table<'t, Place, (i64, u64)>;

impl Queues {
    /// Takes settled events out of the outbox. One that is not there any more was superseded or settled before.
    pub(super) fn settle(
        &mut self,
        write: &WriteTransaction,
        settlements: &[Settlement],
        letters: &mut LetterCounts,
        at: Time,
    ) -> Result<(), StoreError> {
        for (settlement, reference) in self.take_settled(write, settlements)? {
            match &settlement.fate {
                Fate::Delivered => self.output(&settlement.output).counts.delivered += 1,
                Fate::Refused(why) => {
                    self.output(&settlement.output).counts.refused += 1;
                    self.refuse(write, settlement, reference, why, letters, at)?;
                }
            }
            match (reference, &settlement.fate) {
                (Reference::Letter(number), Fate::Delivered) => {
                    super::letters::remove(write, number, letters)?
                }
                (Reference::Event(number), _) => self.release(write, number)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The settlements that take something out of the outbox, and what that is. With windows, which there are many of, all is
    /// done but for counting: tables are opened once for all of them. One that is refused stays until its dead letter is written.
    fn take_settled<'s>(
        &mut self,
        write: &WriteTransaction,
        settlements: &'s [Settlement],
    ) -> Result<Vec<(&'s Settlement, Reference)>, StoreError> {
        let mut taken = Vec::with_capacity(settlements.len());
        if settlements.is_empty() {
            return Ok(taken);
        }
        let mut outbox = write.open_table(OUTBOX).doing("confirm an event")?;
        let mut windows = write.open_table(CLOSED).doing("forget a window")?;
        for settlement in settlements {
            let Some(row) = self.outputs.get(&settlement.output) else { continue };
            let place = (row.number, settlement.priority, settlement.sequence);
            if self.swapped.contains(&place) {
                // It was merged while it was under way: what stands here now was not sent yet.
                if id_at(&outbox, &windows, place)?.is_some_and(|id| id != settlement.id) {
                    continue;
                }
                self.swapped.remove(&place);
            }
            let removed =
                outbox.remove(place).doing("confirm an event")?.map(|row| Reference::of(row.value()));
            let Some(reference) = removed else { continue };
            if let (Reference::Closed(key), Fate::Delivered) = (reference, &settlement.fate)
                && key.end <= self.forgotten
            {
                self.forget(&outbox, &mut windows, (key.end.0, key.group))?;
            }
            taken.push((settlement, reference));
        }
        Ok(taken)
    }

    fn forget(
        &mut self,
        outbox: &Outbox<'_>,
        windows: &mut ClosedTable<'_>,
        key: (i64, u32),
    ) -> Result<(), StoreError> {
        let bytes = closed::forget(outbox, windows, key)?;
        self.closed_bytes = self.closed_bytes.saturating_sub(bytes);
        Ok(())
    }

    /// Makes a refused event a dead letter.
    fn refuse(
        &mut self,
        write: &WriteTransaction,
        settlement: &Settlement,
        reference: Reference,
        why: &str,
        letters: &mut LetterCounts,
        at: Time,
    ) -> Result<(), StoreError> {
        let (number, event) = match reference {
            Reference::Letter(number) => (number, read_letter_event(write, number)?),
            Reference::Closed(key) => {
                let mut windows = write.open_table(CLOSED).doing("read a window")?;
                let key = (key.end.0, key.group);
                let row = windows.get(key).doing("read a window")?;
                let event = row.map(|row| window(row.value())).transpose()?.map(|row| row.event);
                if key.0 <= self.forgotten.0 {
                    let outbox = write.open_table(OUTBOX).doing("read the outbox")?;
                    self.forget(&outbox, &mut windows, key)?;
                }
                (super::letters::take_number(letters), event)
            }
            Reference::Event(number) => {
                (super::letters::take_number(letters), super::events::read(write, number)?)
            }
        };
        let letter = Letter::Event {
            output: settlement.output.clone(),
            id: settlement.id.clone(),
            event: event.unwrap_or_default(),
            why: why.to_owned(),
            at,
            queued: false,
        };
        super::letters::insert(write, number, &letter, letters, self)
    }
}

/// The id of the window that is queued at `place`.
fn id_at(outbox: &Outbox<'_>, windows: &ClosedTable<'_>, place: Place) -> Result<Option<String>, StoreError> {
    let reference = outbox.get(place).doing("read the outbox")?.map(|row| Reference::of(row.value()));
    let Some(Reference::Closed(key)) = reference else { return Ok(None) };
    let row = windows.get((key.end.0, key.group)).doing("read a window")?;
    Ok(row.map(|row| window(row.value())).transpose()?.map(|row| row.id))
}

fn read_letter_event(write: &WriteTransaction, number: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let table = write.open_table(LETTERS).doing("read a dead letter")?;
    let row = table.get(number).doing("read a dead letter")?;
    let letter = row.map(|row| unpack_value::<Letter>(row.value(), "dead letter")).transpose()?;
    Ok(letter.and_then(|letter| match letter {
        Letter::Event { event, .. } => Some(event),
        Letter::Message(_) => None,
    }))
}
