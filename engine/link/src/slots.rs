//! Two places in flash for a model, one of them active: an update goes into the other one, and
//! until its last word is written, the old model is the active one.
//!
//! ```text
//! start          start + slot_bytes       start + 2 * slot_bytes
//! | blob ... | record | blob ... | record |
//! ```
//!
//! The [`Record`] is the last thing to be written and the first to be erased. The active slot is
//! the one whose record is whole, whose blob has the record's checksum, and whose sequence number
//! is the larger; it is never touched. So wherever power fails, the next start finds either the old
//! model or the new one, whole.

use core::ops::Range;

use bytemuck::{Pod, Zeroable};
use embedded_storage::nor_flash::{NorFlash, NorFlashError, NorFlashErrorKind};
use mote_engine::format::{checksum, update_checksum};

use crate::board::Store;
use crate::message::{Begin, Fault};

/// Why there are no slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotsError {
    /// Start and length of the slots must be whole erase sectors inside the flash.
    Geometry,
    /// The flash failed.
    Flash(NorFlashErrorKind),
}

impl core::fmt::Display for SlotsError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Geometry => {
                f.write_str("the slots must be whole erase sectors inside the flash; see memory.x")
            }
            Self::Flash(kind) => write!(f, "the flash failed: {kind}"),
        }
    }
}

impl core::error::Error for SlotsError {}

/// The end of a slot in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Record {
    magic: u32,
    /// One more than that of the model it replaces.
    sequence: u32,
    blob: [u32; 2],
    reserved: [u32; 3],
    /// Of everything before.
    checksum: u32,
}

const MAGIC: u32 = u32::from_le_bytes(*b"MtSl");
const RECORD_BYTES: u32 = 32;
const _: () = assert!(size_of::<Record>() == RECORD_BYTES as usize);

/// The largest unit of writing or reading; no blob ends on the record's own.
const MAX_UNIT: usize = RECORD_BYTES as usize;

/// Two slots of `flash`. `accept` looks at a new blob in flash, whole and verified, before it
/// becomes active: whether this firmware can run it.
pub struct Slots<F, A> {
    flash: F,
    accept: A,
    start: u32,
    slot_bytes: u32,
    active: Option<Active>,
    incoming: Option<Incoming>,
}

#[derive(Clone, Copy, Debug)]
struct Active {
    slot: u32,
    record: Record,
}

#[derive(Clone, Copy, Debug)]
struct Incoming {
    slot: u32,
    blob: Begin,
    next: u32,
}

impl<F, A> core::fmt::Debug for Slots<F, A> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Slots").field("active", &self.active).finish_non_exhaustive()
    }
}

impl<F: NorFlash, A: FnMut(&mut F, Range<u32>) -> bool> Slots<F, A> {
    /// Looks at the two slots of `slot_bytes` each that begin at `start`.
    ///
    /// # Errors
    /// [`SlotsError`].
    pub fn open(flash: F, start: u32, slot_bytes: u32, accept: A) -> Result<Self, SlotsError> {
        const {
            assert!(
                MAX_UNIT.is_multiple_of(F::WRITE_SIZE) && MAX_UNIT.is_multiple_of(F::READ_SIZE)
            );
            assert!(F::ERASE_SIZE.is_multiple_of(MAX_UNIT));
        }
        let end = slot_bytes.checked_mul(2).and_then(|both| both.checked_add(start));
        let fits = end.is_some_and(|end| (end as usize) <= flash.capacity());
        let whole = [start, slot_bytes].iter().all(|n| (*n as usize).is_multiple_of(F::ERASE_SIZE));
        if !fits || !whole || slot_bytes == 0 {
            return Err(SlotsError::Geometry);
        }
        let mut slots = Self { flash, accept, start, slot_bytes, active: None, incoming: None };
        for slot in 0..2 {
            let found = slots.look(slot).map_err(|error| SlotsError::Flash(error.kind()))?;
            let newer = |active: &Active, record: &Record| {
                // Numbers that have gone round once still compare.
                record.sequence.wrapping_sub(active.record.sequence) < 1 << 31
            };
            if let Some(record) = found
                && slots.active.as_ref().is_none_or(|active| newer(active, &record))
            {
                slots.active = Some(Active { slot, record });
            }
        }
        Ok(slots)
    }

    /// Where in the flash the active blob lies; `None` when no model was ever stored.
    #[must_use]
    pub fn active(&self) -> Option<Range<u32>> {
        self.active.map(|Active { slot, record }| self.blob(slot, record.blob[0]))
    }

    /// The flash again.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn blob(&self, slot: u32, bytes: u32) -> Range<u32> {
        let start = self.start + slot * self.slot_bytes;
        start..start + bytes
    }

    /// The record of a slot in use whose blob is sound.
    fn look(&mut self, slot: u32) -> Result<Option<Record>, F::Error> {
        let record = self.read_record(slot)?;
        let [bytes, sum] = record.blob;
        let whole = record.magic == MAGIC
            && record.checksum == record.sum()
            && bytes <= self.slot_bytes - RECORD_BYTES;
        Ok((whole && self.blob_sum(slot, bytes)? == sum).then_some(record))
    }

    fn read_record(&mut self, slot: u32) -> Result<Record, F::Error> {
        let mut record = Record::default();
        self.flash.read(self.record(slot), bytemuck::bytes_of_mut(&mut record))?;
        Ok(record)
    }

    fn record(&self, slot: u32) -> u32 {
        self.start + (slot + 1) * self.slot_bytes - RECORD_BYTES
    }

    fn blob_sum(&mut self, slot: u32, bytes: u32) -> Result<u32, F::Error> {
        let Range { start, end } = self.blob(slot, bytes);
        let mut piece = [0; 8 * MAX_UNIT];
        let (mut sum, mut at) = (!0, start);
        while at < end {
            let len = piece.len().min((end - at) as usize);
            // Whole units; behind the blob there is always the record.
            self.flash.read(at, &mut piece[..len.next_multiple_of(MAX_UNIT)])?;
            sum = update_checksum(sum, &piece[..len]);
            at += u32::try_from(len).unwrap_or(u32::MAX);
        }
        Ok(!sum)
    }

    /// Erases the sectors that begin in `range`.
    fn erase(&mut self, range: Range<u32>) -> Result<(), F::Error> {
        let sector = u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX);
        let mut at = range.start.next_multiple_of(sector);
        while at < range.end {
            self.flash.erase(at, at + sector)?;
            at += sector;
        }
        Ok(())
    }

    fn store(&mut self, incoming: Incoming, bytes: &[u8]) -> Result<(), F::Error> {
        let at = self.blob(incoming.slot, 0).start + incoming.next;
        let last = self.last_sector(incoming.slot);
        let end = at + u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        // The last sector was the first to be erased.
        self.erase(at..end.min(last))?;
        let whole = bytes.len() - bytes.len() % F::WRITE_SIZE;
        let (whole, tail) = bytes.split_at(whole);
        self.flash.write(at, whole)?;
        if tail.is_empty() {
            return Ok(());
        }
        let mut unit = [0xff; MAX_UNIT];
        unit[..tail.len()].copy_from_slice(tail);
        self.flash.write(at + u32::try_from(whole.len()).unwrap_or(0), &unit[..F::WRITE_SIZE])
    }

    fn last_sector(&self, slot: u32) -> u32 {
        let sector = u32::try_from(F::ERASE_SIZE).unwrap_or(u32::MAX);
        self.start + (slot + 1) * self.slot_bytes - sector
    }

    fn activate(&mut self, incoming: Incoming) -> Result<bool, F::Error> {
        let mut record = Record {
            magic: MAGIC,
            sequence: self.active.map_or(0, |active| active.record.sequence.wrapping_add(1)),
            blob: [incoming.blob.bytes, incoming.blob.checksum],
            ..Record::default()
        };
        record.checksum = record.sum();
        self.flash.write(self.record(incoming.slot), bytemuck::bytes_of(&record))?;
        let written = self.read_record(incoming.slot)? == record;
        if written {
            self.active = Some(Active { slot: incoming.slot, record });
        }
        Ok(written)
    }
}

impl Record {
    fn sum(&self) -> u32 {
        let bytes = bytemuck::bytes_of(self);
        checksum(bytes.get(..bytes.len() - 4).unwrap_or(bytes))
    }
}

impl<F: NorFlash, A: FnMut(&mut F, Range<u32>) -> bool> Store for Slots<F, A> {
    fn slot_bytes(&self) -> u32 {
        self.slot_bytes - RECORD_BYTES
    }

    fn begin(&mut self, blob: Begin) -> Result<(), Fault> {
        self.incoming = None;
        if blob.bytes > Store::slot_bytes(self) {
            return Err(Fault::TooLarge);
        }
        let slot = self.active.map_or(0, |active| 1 - active.slot);
        let last = self.last_sector(slot);
        self.erase(last..last + 1).map_err(|_| Fault::Flash)?;
        self.incoming = Some(Incoming { slot, blob, next: 0 });
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Fault> {
        let Some(incoming) = self.incoming.filter(|incoming| incoming.next == offset) else {
            return Err(Fault::Order);
        };
        let len = u32::try_from(bytes.len()).map_err(|_| Fault::Order)?;
        let next = incoming.next.saturating_add(len);
        let last = next == incoming.blob.bytes;
        if next > incoming.blob.bytes || !(last || bytes.len().is_multiple_of(F::WRITE_SIZE)) {
            return Err(Fault::Order);
        }
        // Whatever happens now, these words cannot be written a second time.
        self.incoming = None;
        self.store(incoming, bytes).map_err(|_| Fault::Flash)?;
        self.incoming = Some(Incoming { next, ..incoming });
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let Some(incoming) = self.incoming.take().filter(|i| i.next == i.blob.bytes) else {
            return Err(Fault::Order);
        };
        let Incoming { slot, blob, .. } = incoming;
        let sum = self.blob_sum(slot, blob.bytes).map_err(|_| Fault::Flash)?;
        if sum != blob.checksum {
            return Err(Fault::Verify);
        }
        let place = self.blob(slot, blob.bytes);
        if !(self.accept)(&mut self.flash, place) {
            return Err(Fault::Unfit);
        }
        match self.activate(incoming) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Fault::Verify),
            Err(_) => Err(Fault::Flash),
        }
    }
}
