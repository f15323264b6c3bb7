//! Dead letters, and what the account says of them.

use super::super::pages::Item;
use super::super::row::{pack_value, unpack_value};
use super::super::schema::{LETTERS, Letter, LetterCounts, Reference};
use super::super::{Doing, StoreError};
use super::memory::Memory;
use super::old::{Key, Old};
use super::queue::Queue;
use redb::{TableHandle, WriteTransaction};

/// Takes the letters over: the account as it is now. Those that are lost are evicted.
pub(super) fn take(
    old: &Old<'_>,
    write: &WriteTransaction,
    queue: &mut Queue<'_>,
    memory: &mut Memory,
    known: Option<LetterCounts>,
) -> Result<LetterCounts, StoreError> {
    let mut table = write.open_table(LETTERS).doing("be salvaged")?;
    // What became of letters is part of the ledger's account: without the one, the other says nothing.
    let known = known.filter(|_| memory.continued);
    let mut counts = LetterCounts { bytes: 0, ..known.unwrap_or_default() };
    let (mut highest, mut readings) = (0, 0);
    old.walk(LETTERS.name(), &mut |item| {
        let Item::Row { key, value, sound } = item else { return Ok(()) };
        let Some((number, letter)) = u64::read(key).zip(unpack_value(value, "dead letter").ok()) else {
            return Ok(());
        };
        // A number in a damaged page may be any: it is taken when it fits in.
        if number <= highest || !(sound || known.is_some_and(|known| number <= known.next)) {
            return Ok(());
        }
        highest = number;
        let letter = match letter {
            Letter::Message(letter) => {
                readings += u64::from(letter.readings);
                Letter::Message(letter)
            }
            Letter::Event { output, id, event, why, at, queued: true } => {
                let place = queue.letters.get(&number).copied();
                if let Some(place) = place {
                    queue.put(place, Reference::Letter(number))?;
                }
                Letter::Event { output, id, event, why, at, queued: place.is_some() }
            }
            letter => letter,
        };
        let row = pack_value(&letter);
        counts.bytes += row.len() as u64;
        table.insert(number, row.as_slice()).doing("be salvaged").map(drop)
    })?;
    counts.next = counts.next.max(highest);
    let dead = memory.pipeline.ledger().dead_lettered.values().sum::<u64>();
    let expected = dead.saturating_sub(counts.evicted + counts.dropped + counts.retried);
    counts.evicted += expected.saturating_sub(readings);
    memory.pipeline.account_for_letters(readings.saturating_sub(expected));
    Ok(counts)
}
