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
    let row = pack_value(letter);
    counts.bytes += row.len() as u64;
    if let Some(old) = table.insert(number, row.as_slice()).doing("write a dead letter")? {
        counts.bytes = counts.bytes.saturating_sub(old.value().len() as u64);
    }
    while counts.bytes > queues.letters_bytes_max
        || table.len().doing("count the dead letters")? > DEAD_LETTERS_MAX
    {
        let oldest = table.pop_first().doing("evict a dead letter")?;
        let Some((number, row)) = oldest.map(|(number, row)| (number.value(), row.value().to_vec())) else {
            break;
        };
        counts.bytes = counts.bytes.saturating_sub(row.len() as u64);
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
            remove(write, number, counts)
        }
        (LetterRequest::Drop(_), Letter::Message(letter)) => {
            counts.dropped += u64::from(letter.readings);
            remove(write, number, counts)
        }
        // What waits in the outbox again needs its bytes.
        (LetterRequest::Drop(_), Letter::Event { queued: false, .. }) => remove(write, number, counts),
        (LetterRequest::Requeue(_), Letter::Event { output, id, event, why, at, queued: false }) => {
            queues.requeue(write, &output, number)?;
            insert(write, number, &Letter::Event { output, id, event, why, at, queued: true }, counts, queues)
        }
        _ => Ok(()),
    }
}

/// Removes one letter.
pub(super) fn remove(
    write: &WriteTransaction,
    number: u64,
    counts: &mut LetterCounts,
) -> Result<(), StoreError> {
    let mut table = write.open_table(LETTERS).doing("remove a dead letter")?;
    if let Some(row) = table.remove(number).doing("remove a dead letter")? {
        counts.bytes = counts.bytes.saturating_sub(row.value().len() as u64);
    }
    Ok(())
}
