//! Checkpoints: a snapshot of plan and state at one journal number, written in chunks over several transactions. The
//! transaction that writes the last chunk puts it in force and truncates the journal.

use super::definitions::Definitions;
use super::row::{CHUNK, pack, pack_value, unpack};
use super::schema::{CHECKPOINT, CheckpointRow, JOURNAL, META, META_CHECKPOINT};
use super::{Doing, Store, StoreError};
use redb::{ReadTransaction, WriteTransaction};
use tidegate_pipeline::Pipeline;
use tidegate_pipeline::checkpoint::{decode, encode};
use tidegate_pipeline::mutant::{self, Mutant};

/// A journal smaller than this is not worth a checkpoint: replaying it takes milliseconds.
pub(super) const JOURNAL_BYTES_MIN: u64 = 4 << 20;
/// The journal may grow to so many times the size of the last checkpoint, so that checkpoints cost little of the wear.
const JOURNAL_PER_CHECKPOINT: u64 = 4;
/// Above this recovery would take long, whatever the size of the checkpoint.
pub(super) const JOURNAL_BYTES_MAX: u64 = 64 << 20;
/// Chunks that ride along in one transaction.
const CHUNKS_PER_COMMIT: usize = 4;

/// A snapshot in the making.
#[derive(Debug)]
pub(super) struct Snapshot {
    row: CheckpointRow,
    bytes: Vec<u8>,
    written: u32,
    /// Bytes of the journal that it does without.
    journal_bytes: u64,
    /// The numbers of the groups that there are, sorted.
    groups: Vec<u32>,
}

impl Snapshot {
    /// What `pipeline` holds after the entry `journal`.
    pub(super) fn take(pipeline: &Pipeline, generation: u64, journal: u64) -> Snapshot {
        let bytes = pack(&encode(pipeline.plan(), pipeline.state()));
        let chunks = u32::try_from(bytes.len().div_ceil(CHUNK)).unwrap_or(u32::MAX);
        let row = CheckpointRow { generation, journal, chunks, bytes: bytes.len() as u64 };
        let live = pipeline.state().groups.iter().filter(|numbered| !numbered.group.is_vacant());
        let mut groups: Vec<_> = live.map(|numbered| numbered.number).collect();
        groups.sort_unstable();
        Snapshot { row, bytes, written: 0, journal_bytes: 0, groups }
    }

    /// Writes up to `limit` more chunks; true when all are written.
    pub(super) fn write(&mut self, write: &WriteTransaction, limit: usize) -> Result<bool, StoreError> {
        let mut table = write.open_table(CHECKPOINT).doing("write the checkpoint")?;
        let chunks = self.bytes.chunks(CHUNK).enumerate().skip(self.written as usize).take(limit);
        for (at, chunk) in chunks {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            table.insert((self.row.generation, at), chunk).doing("write the checkpoint")?;
            self.written = at + 1;
        }
        Ok(self.written == self.row.chunks)
    }

    pub(super) fn row(&self) -> CheckpointRow {
        self.row
    }
}

/// Puts a wholly written snapshot in force: forgets the one before, what was written of others, and the journal that it covers.
pub(super) fn flip(write: &WriteTransaction, snapshot: &Snapshot) -> Result<(), StoreError> {
    let row = snapshot.row;
    write
        .open_table(META)
        .doing("write the checkpoint")?
        .insert(META_CHECKPOINT, pack_value(&row).as_slice())
        .doing("write the checkpoint")?;
    let mut table = write.open_table(CHECKPOINT).doing("write the checkpoint")?;
    table.retain_in(..(row.generation, 0), |_, _| false).doing("forget the old checkpoint")?;
    // A larger one of this number was begun, and given up. Who salvages a store takes for one what has one number.
    table.retain_in((row.generation, row.chunks).., |_, _| false).doing("forget the old checkpoint")?;
    let mut journal = write.open_table(JOURNAL).doing("truncate the journal")?;
    journal.retain_in(..(row.journal + 1, 0), |_, _| false).doing("truncate the journal")
}

/// The pipeline of the checkpoint in force.
pub(super) fn read(read: &ReadTransaction, row: &CheckpointRow) -> Result<Pipeline, StoreError> {
    let table = read.open_table(CHECKPOINT).doing("read the checkpoint")?;
    let mut bytes = Vec::new();
    for at in 0..row.chunks {
        let chunk = table.get((row.generation, at)).doing("read the checkpoint")?;
        bytes.extend_from_slice(chunk.ok_or(StoreError::Damaged("checkpoint"))?.value());
    }
    let (plan, state) = decode(&unpack(&bytes, "checkpoint")?).ok_or(StoreError::Damaged("checkpoint"))?;
    Ok(Pipeline::restore(plan, state))
}

impl Store {
    /// Begins a checkpoint when the journal has grown enough and none is being written. `pipeline` must be as it is after
    /// the last committed entry.
    pub fn checkpoint_if_due(&mut self, pipeline: &Pipeline) {
        let due = (self.checkpoint.bytes * JOURNAL_PER_CHECKPOINT)
            .clamp(self.journal_bytes_min.min(self.room.journal), self.room.journal);
        if self.journal_bytes >= due {
            self.begin_checkpoint(pipeline);
        }
    }

    /// Begins a checkpoint, however small the journal, if none is being written. `pipeline` must be as it is after the last
    /// committed entry.
    pub fn begin_checkpoint(&mut self, pipeline: &Pipeline) {
        if self.snapshot.is_none() {
            let one_more = u64::from(mutant::active(Mutant::CheckpointCutsTooMuch));
            let last = self.next - 1 + one_more;
            let snapshot = Snapshot::take(pipeline, self.checkpoint.generation + 1, last);
            self.snapshot = Some(Snapshot { journal_bytes: self.journal_bytes, ..snapshot });
        }
    }

    /// Sets how large the journal must be, in bytes, before it is worth a checkpoint. The default is right for flash; a
    /// test of checkpoints sets less.
    pub fn checkpoint_from(&mut self, journal_bytes: u64) {
        self.journal_bytes_min = journal_bytes;
    }

    /// Whether a checkpoint is being written.
    pub fn is_checkpointing(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Whether something is in the journal that a checkpoint would do without.
    pub fn has_journal(&self) -> bool {
        self.journal_bytes > 0
    }

    /// Writes a checkpoint of `pipeline` now, in a transaction of its own.
    ///
    /// # Errors
    /// When it cannot be written; the one before is in force then.
    pub fn checkpoint_now(&mut self, pipeline: &Pipeline) -> Result<(), StoreError> {
        self.put_in_force(self.snapshot_of(pipeline), pipeline)
    }

    /// The same, where that makes at least one `part` in so many of its own size less of what is kept. Says whether it did.
    ///
    /// # Errors
    /// As [`Store::checkpoint_now`].
    pub fn checkpoint_if_worth(&mut self, pipeline: &Pipeline, part: u64) -> Result<bool, StoreError> {
        let snapshot = self.snapshot_of(pipeline);
        let freed = (self.journal_bytes + self.state_bytes()).saturating_sub(2 * snapshot.row.bytes);
        let worth = freed >= snapshot.row.bytes / part;
        if worth {
            self.put_in_force(snapshot, pipeline)?;
        }
        Ok(worth)
    }

    fn snapshot_of(&self, pipeline: &Pipeline) -> Snapshot {
        Snapshot::take(pipeline, self.checkpoint.generation + 1, self.next - 1)
    }

    fn put_in_force(&mut self, mut snapshot: Snapshot, pipeline: &Pipeline) -> Result<(), StoreError> {
        let database = self.shared.database()?;
        let write = database.begin_write().doing("write the checkpoint")?;
        snapshot.write(&write, usize::MAX)?;
        flip(&write, &snapshot)?;
        self.definitions.collect(&write, &snapshot.groups)?;
        write.commit().doing("write the checkpoint")?;
        self.checkpoint = snapshot.row;
        self.journal_bytes = 0;
        self.snapshot = None;
        self.plan = pipeline.plan().clone();
        Ok(())
    }

    /// Writes the next chunks of a snapshot in the making; gives its row when this transaction puts it in force.
    pub(super) fn advance_checkpoint(
        &mut self,
        write: &WriteTransaction,
        definitions: &mut Definitions,
    ) -> Result<Option<CheckpointRow>, StoreError> {
        let Some(snapshot) = &mut self.snapshot else { return Ok(None) };
        if !snapshot.write(write, CHUNKS_PER_COMMIT)? {
            return Ok(None);
        }
        flip(write, snapshot)?;
        definitions.collect(write, &snapshot.groups)?;
        Ok(Some(snapshot.row()))
    }

    /// The snapshot in the making is in force. What came while it was written is behind it, in the journal.
    pub(super) fn in_force(&mut self, row: CheckpointRow) {
        self.checkpoint = row;
        let covered = self.snapshot.take().map_or(0, |snapshot| snapshot.journal_bytes);
        self.journal_bytes = self.journal_bytes.saturating_sub(covered);
    }
}
