//! Dead letters: capped, with reason and bytes; retried, dropped, and evicted only with an account.

use super::closed::Queues;
use super::commit::LetterRequest;
use super::row::{pack_value, unpack_value};
use super::schema::{LETTERS, Letter, LetterCounts};
use super::{Doing, StoreError};
use crate::limits::DEAD_LETTERS_MAX;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use tidegate_pipeline::message::DeadLetter;

/// The number of a new letter.
pub(super) fn take_number(counts: &mut LetterCounts) -> u64 {
    counts.next += 1;
    counts.next
}

/// Writes new letters.
pub(super) fn write(
    write: &WriteTransaction,
    letters: &[DeadLetter],
    counts: &mut LetterCounts,
    queues: &mut Queues,
) -> Result<(), StoreError> {
    for letter in letters {
        let number = take_number(counts);
        insert(write, number, &Letter::Message(letter.clone()), counts, queues)?;
    }
    Ok(())
}

/// Writes one letter; the oldest makes room where there is none.
pub(super) fn insert(
    write: &WriteTransaction,
    number: u64,
    letter: &Letter,
    counts: &mut LetterCounts,
    queues: &mut Queues,
) -> Result<(), StoreError> {
    let mut table = write.open_table(LETTERS).doing("write a dead letter")?;
    table.insert(number, pack_value(letter).as_slice()).doing("write a dead letter")?;
    while table.len().doing("count the dead letters")? > DEAD_LETTERS_MAX {
        let oldest = table.pop_first().doing("evict a dead letter")?;
        let Some((number, row)) = oldest.map(|(number, row)| (number.value(), row.value().to_vec())) else {
            break;
        };
        match unpack_value(&row, "dead letter")? {
            Letter::Message(letter) => counts.evicted += u64::from(letter.readings),
            Letter::Event { output, queued: true, .. } => queues.evict(write, &output, number)?,
            // It stays accounted for as refused.
            Letter::Event { queued: false, .. } => {}
        }
    }
    Ok(())
}

/// Does what an operator asked for. A letter that is gone is no error: somebody was faster.
pub(super) fn request(
    write: &WriteTransaction,
    request: LetterRequest,
    counts: &mut LetterCounts,
    queues: &mut Queues,
) -> Result<(), StoreError> {
    let (LetterRequest::Retried(number) | LetterRequest::Requeue(number) | LetterRequest::Drop(number)) =
        request;
    let row = {
        let table = write.open_table(LETTERS).doing("read a dead letter")?;
        table.get(number).doing("read a dead letter")?.map(|row| row.value().to_vec())
    };
    let Some(row) = row else { return Ok(()) };
    match (request, unpack_value(&row, "dead letter")?) {
        (LetterRequest::Retried(_), Letter::Message(letter)) => {
            counts.retried += u64::from(letter.readings);
            remove(write, number)
        }
        (LetterRequest::Drop(_), Letter::Message(letter)) => {
            counts.dropped += u64::from(letter.readings);
            remove(write, number)
        }
        // What waits in the outbox again needs its bytes.
        (LetterRequest::Drop(_), Letter::Event { queued: false, .. }) => remove(write, number),
        (LetterRequest::Requeue(_), Letter::Event { output, id, event, why, at, queued: false }) => {
            queues.requeue(write, &output, number)?;
            let letter = Letter::Event { output, id, event, why, at, queued: true };
            let mut table = write.open_table(LETTERS).doing("requeue an event")?;
            table.insert(number, pack_value(&letter).as_slice()).doing("requeue an event")?;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn remove(write: &WriteTransaction, number: u64) -> Result<(), StoreError> {
    let mut table = write.open_table(LETTERS).doing("remove a dead letter")?;
    table.remove(number).doing("remove a dead letter")?;
    Ok(())
}
