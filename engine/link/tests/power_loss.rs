//! Updates over a flash that behaves like one, with the power cut at every single step.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use core::ops::Range;

use mote_engine::format::checksum;
use mote_link::message::{Begin, CHUNK_BYTES, Fault};
use mote_link::{Slots, SlotsError, Store};

use nor::{Nor, WORD};

#[path = "common/nor.rs"]
#[allow(unreachable_pub, reason = "shared by several tests")]
mod nor;

const START: u32 = 512;
const SLOT: u32 = 1280;

type Opened = Slots<Nor, fn(&mut Nor, Range<u32>) -> bool>;

fn fresh() -> Nor {
    Nor::new(START + 2 * SLOT)
}

fn open(nor: Nor) -> Opened {
    Slots::open(nor, START, SLOT, (|_, _| true) as fn(&mut Nor, Range<u32>) -> bool).unwrap()
}

fn update(slots: &mut Opened, blob: &[u8]) -> Result<(), Fault> {
    let bytes = u32::try_from(blob.len()).unwrap();
    slots.begin(Begin { bytes, checksum: checksum(blob) })?;
    for (index, chunk) in blob.chunks(CHUNK_BYTES).enumerate() {
        slots.write(u32::try_from(index * CHUNK_BYTES).unwrap(), chunk)?;
    }
    slots.commit()
}

/// The active blob, as a chip finds it when it starts.
fn active(nor: &Nor) -> Option<Vec<u8>> {
    let slots = open(nor.clone().restart(usize::MAX));
    let range = slots.active()?;
    Some(nor.bytes[range.start as usize..range.end as usize].to_vec())
}

fn blob(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * i + seed * (i + 7)).to_le_bytes()[0]).collect()
}

#[test]
fn wherever_the_power_goes_a_whole_model_is_left() {
    // Short and long, full and with an odd tail; each replaces the one before.
    let blobs: Vec<_> =
        [700, 1248, 33, 1001].iter().enumerate().map(|(i, &n)| blob(i, n)).collect();
    let mut before = fresh();
    let mut old = None;
    for new in &blobs {
        let mut uncut = open(before.clone().restart(usize::MAX));
        update(&mut uncut, new).unwrap();
        let after = uncut.into_flash();
        assert!(after.steps > new.len() / WORD);
        for power in 0..after.steps {
            let mut cut = open(before.clone().restart(power));
            assert_eq!(update(&mut cut, new), Err(Fault::Flash), "cut at {power}");
            let nor = cut.into_flash();
            // The record's last word may be whole by chance: then the new model is there.
            let found = active(&nor);
            let last = power + 1 == after.steps && found.as_ref() == Some(new);
            assert!(found == old || last, "cut at {power} of {}", after.steps);

            // Whatever is left behind, the next try works, and once more is no worse.
            let mut again = open(nor.restart(usize::MAX));
            update(&mut again, new).unwrap();
            assert_eq!(active(&again.into_flash()).as_ref(), Some(new), "cut at {power}");
        }
        assert_eq!(active(&after).as_ref(), Some(new));
        (before, old) = (after, Some(new.clone()));
    }
}

#[test]
fn a_chain_of_cuts_never_loses_the_model() {
    let mut nor = fresh();
    let mut slots = open(nor.clone());
    let first = blob(1, 900);
    update(&mut slots, &first).unwrap();
    nor = slots.into_flash();
    let mut good = first;
    for round in 0..400_usize {
        let new = blob(round + 2, 40 + round * 31 % 1200);
        let mut slots = open(nor.restart(round * 7919 % 330));
        let outcome = update(&mut slots, &new);
        nor = slots.into_flash();
        let found = active(&nor).unwrap();
        assert!(found == good || found == new, "round {round}");
        assert!(outcome.is_err() || found == new, "round {round}");
        good = found;
    }
}

#[test]
fn a_damaged_model_gives_way_to_the_one_before() {
    let mut slots = open(fresh());
    let (first, second) = (blob(1, 500), blob(2, 600));
    update(&mut slots, &first).unwrap();
    update(&mut slots, &second).unwrap();
    let place = slots.active().unwrap();
    let mut nor = slots.into_flash();
    assert_eq!(active(&nor), Some(second));
    nor.bytes[place.start as usize + 99] ^= 4;
    assert_eq!(active(&nor), Some(first));
}

#[test]
fn what_is_not_whole_is_refused_and_changes_nothing() {
    let mut slots = open(fresh());
    let good = blob(1, 500);
    update(&mut slots, &good).unwrap();
    let other = blob(2, 512);
    let sum = checksum(&other);

    assert_eq!(slots.begin(Begin { bytes: SLOT - 31, checksum: 0 }), Err(Fault::TooLarge));
    assert_eq!(slots.write(0, &other), Err(Fault::Order), "nothing was begun");
    assert_eq!(slots.commit(), Err(Fault::Order));

    slots.begin(Begin { bytes: 512, checksum: sum }).unwrap();
    assert_eq!(slots.write(4, &other[4..]), Err(Fault::Order), "a hole");
    slots.write(0, &other[..256]).unwrap();
    assert_eq!(slots.write(0, &other[..256]), Err(Fault::Order), "twice");
    assert_eq!(slots.write(256, &blob(3, 257)), Err(Fault::Order), "too much");
    assert_eq!(slots.commit(), Err(Fault::Order), "half");

    slots.begin(Begin { bytes: 512, checksum: sum ^ 1 }).unwrap();
    slots.write(0, &other).unwrap();
    assert_eq!(slots.commit(), Err(Fault::Verify), "damaged on its way");

    let refuse = (|_, _| false) as fn(&mut Nor, Range<u32>) -> bool;
    let mut picky = Slots::open(slots.into_flash(), START, SLOT, refuse).unwrap();
    assert_eq!(update(&mut picky, &other), Err(Fault::Unfit));
    assert_eq!(active(&picky.into_flash()), Some(good));
}

#[test]
fn slots_are_whole_sectors_inside_the_flash() {
    let accept = (|_, _| true) as fn(&mut Nor, Range<u32>) -> bool;
    for (start, bytes) in
        [(1, SLOT), (0, SLOT + 4), (START + 256, SLOT), (0, 0), (256, u32::MAX - 255)]
    {
        let outcome = Slots::open(fresh(), start, bytes, accept).map(|slots| slots.active());
        assert_eq!(outcome, Err(SlotsError::Geometry), "{start} {bytes}");
    }
}
