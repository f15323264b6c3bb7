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

/// What was taken out of the outbox.
struct Taken<'s> {
    settlement: &'s Settlement,
    /// What stood there.
    reference: Reference,
    /// Where it was refused: the whole event.
    event: Option<Vec<u8>>,
}

impl Queues {
    /// Takes settled events out of the outbox. One that is not there any more was superseded or settled before.
    pub(super) fn settle(
        &mut self,
        write: &WriteTransaction,
        settlements: &[Settlement],
        letters: &mut LetterCounts,
        at: Time,
    ) -> Result<(), StoreError> {
        for Taken { settlement, reference, event } in self.take_settled(write, settlements)? {
            match &settlement.fate {
                Fate::Delivered => self.output(&settlement.output).counts.delivered += 1,
                Fate::Refused(why) => {
                    self.output(&settlement.output).counts.refused += 1;
                    let number = match reference {
                        Reference::Letter(number) => number,
                        Reference::Closed(_) | Reference::Event(_) => super::letters::take_number(letters),
                    };
                    let letter = Letter::Event {
                        output: settlement.output.clone(),
                        id: settlement.id.clone(),
                        event: event.unwrap_or_default(),
                        why: why.clone(),
                        at,
                        queued: false,
                    };
                    super::letters::insert(write, number, &letter, letters, self)?;
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

    /// Takes what is settled out of the outbox, and windows that nothing waits for any more out of the store: their tables are
    /// opened once for all of them.
    fn take_settled<'s>(
        &mut self,
        write: &WriteTransaction,
        settlements: &'s [Settlement],
    ) -> Result<Vec<Taken<'s>>, StoreError> {
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
            // Now: another output may settle the same event behind it, and then it is gone.
            let event = match (&settlement.fate, reference) {
                (Fate::Delivered, _) => None,
                (Fate::Refused(_), Reference::Closed(key)) => {
                    let row = windows.get((key.end.0, key.group)).doing("read a window")?;
                    row.map(|row| window(row.value())).transpose()?.map(|row| row.event)
                }
                (Fate::Refused(_), Reference::Event(number)) => super::events::read(write, number)?,
                (Fate::Refused(_), Reference::Letter(number)) => read_letter_event(write, number)?,
            };
            if let Reference::Closed(key) = reference
                && key.end <= self.forgotten
            {
                let bytes = closed::forget(&outbox, &mut windows, (key.end.0, key.group))?;
                self.closed_bytes = self.closed_bytes.saturating_sub(bytes);
            }
            taken.push(Taken { settlement, reference, event });
        }
        Ok(taken)
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
