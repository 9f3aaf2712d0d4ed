//! A plugin for `qemu-aarch64` and `qemu-system-arm` that counts executed instructions between markers.
//!
//! On AArch64 `hint #96 + N` starts region N and `hint #112 + N` ends it, N below 16; on a real machine
//! both do nothing. Each end writes a line `region N INSTRUCTIONS` to the standard error, markers not
//! counted. Regions may nest. Counts are exact unless an instruction faults, for one thread.
//!
//! On a Cortex-M `hint #14` starts the only region and `hint #15` ends it. Its line is followed by one
//! for every instruction that was executed, `opcode HEX EXECUTED LEFT`, the latter how often something
//! else than the next instruction followed. One of 32 bits has its first half in the upper 16.
//!
//! Written for version 1 of the plugin interface, QEMU 6.0 to 8.1; a newer QEMU says that it does not
//! support it.
#![allow(unsafe_code, reason = "speaks QEMU's C interface")]

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// The version of the interface that QEMU looks for.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// Executed instructions: QEMU adds to it from translated code.
static EXECUTED: AtomicU64 = AtomicU64::new(0);

/// What had been executed when each region started.
static STARTS: Mutex<[u64; REGIONS]> = Mutex::new([0; REGIONS]);

const REGIONS: usize = 16;
/// `hint #0`; the number stands from bit 5 on.
const HINT: u32 = 0xd503_201f;
const START: u32 = 96;
const STOP: u32 = 112;
/// Callbacks neither read nor write registers.
const NO_REGISTERS: c_int = 0;
const ADD_U64: c_int = 0;

/// A translation block, only handed around.
#[repr(C)]
#[derive(Debug)]
pub struct Block {
    opaque: [u8; 0],
}

/// An instruction of a block, only handed around.
#[repr(C)]
#[derive(Debug)]
pub struct Instruction {
    opaque: [u8; 0],
}

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut Block));
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const c_void;
    fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut Instruction,
        operation: c_int,
        to: *mut c_void,
        value: u64,
    );
}

/// QEMU calls this once, before the program starts.
///
/// # Safety
/// To be called by QEMU alone.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    info: *const *const c_char,
    _argc: c_int,
    _argv: *const *const c_char,
) -> c_int {
    // SAFETY: what QEMU tells about itself begins with the target's name.
    let name = unsafe { info.read() };
    // SAFETY: QEMU's names are strings of C.
    let is_arm = unsafe { CStr::from_ptr(name) } == c"arm";
    let translate = if is_arm { chip::translate } else { translate };
    // SAFETY: the identity is QEMU's own, the function lives as long as the plugin.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translate) };
    0
}

/// Has each stretch between markers added up at its first instruction: a block runs to its end.
extern "C" fn translate(_id: u64, block: *mut Block) {
    // SAFETY: QEMU hands over a block that is valid during the call.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    let (mut stretch, mut len) = (null_mut(), 0);
    for index in 0..count {
        // SAFETY: the index is below the block's length.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: the instruction was just given by QEMU.
        let data = unsafe { qemu_plugin_insn_data(instruction) }.cast::<u32>();
        // SAFETY: every instruction of AArch64 has four bytes.
        let word = unsafe { data.read_unaligned() };
        if let Some(marker) = marker(word) {
            add(stretch, len);
            (stretch, len) = (null_mut(), 0);
            let data = core::ptr::without_provenance_mut(marker);
            // SAFETY: the function lives as long as the plugin; it takes the number for a number.
            unsafe {
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, mark, NO_REGISTERS, data);
            };
        } else {
            if len == 0 {
                stretch = instruction;
            }
            len += 1;
        }
    }
    add(stretch, len);
}

/// The number of a hint that is a marker.
fn marker(word: u32) -> Option<usize> {
    let number = (word >> 5) & 0x7f;
    let is_marker = word & !(0x7f << 5) == HINT && (START..STOP + 16).contains(&number);
    is_marker.then_some(number as usize)
}

fn add(first: *mut Instruction, len: u64) {
    if len > 0 {
        let to = EXECUTED.as_ptr().cast();
        // SAFETY: the counter is static; only one thread of the program runs.
        unsafe { qemu_plugin_register_vcpu_insn_exec_inline(first, ADD_U64, to, len) };
    }
}

extern "C" fn mark(_processor: c_uint, data: *mut c_void) {
    let executed = EXECUTED.load(Ordering::Relaxed);
    let number = data.addr();
    let region = number % REGIONS;
    let Ok(mut starts) = STARTS.lock() else { return };
    if number < STOP as usize {
        starts[region] = executed;
    } else {
        eprintln!("region {region} {}", executed - starts[region]);
    }
}

/// Cortex-M, by opcode.
mod chip {
    use super::*;

    const START: u32 = 0xbfe0;
    const STOP: u32 = 0xbff0;

    /// Instructions that are executed one after the other.
    struct Stretch {
        opcodes: Vec<u32>,
        start: u64,
        /// Where the next instruction is.
        end: u64,
        executed: AtomicU64,
        /// How often something else followed.
        left: AtomicU64,
    }

    /// All that were ever translated; QEMU may do that again with the same ones.
    static STRETCHES: Mutex<Vec<&'static Stretch>> = Mutex::new(Vec::new());

    /// What was executed last.
    static LAST: AtomicPtr<Stretch> = AtomicPtr::new(null_mut());

    /// Has each stretch between markers counted at its first instruction.
    pub(super) extern "C" fn translate(_id: u64, block: *mut Block) {
        // SAFETY: QEMU hands over a block that is valid during the call.
        let count = unsafe { qemu_plugin_tb_n_insns(block) };
        let (mut first, mut opcodes, mut start, mut end) = (null_mut(), Vec::new(), 0, 0);
        for index in 0..count {
            // SAFETY: the index is below the block's length.
            let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
            let (opcode, at, size) = read(instruction);
            if opcode == START || opcode == STOP {
                count_stretch(first, core::mem::take(&mut opcodes), start, end);
                let data = core::ptr::without_provenance_mut(opcode as usize);
                // SAFETY: the function lives as long as the plugin; it takes the number for a number.
                unsafe {
                    qemu_plugin_register_vcpu_insn_exec_cb(instruction, mark, NO_REGISTERS, data);
                };
                continue;
            }
            if opcodes.is_empty() {
                (first, start) = (instruction, at);
            }
            opcodes.push(opcode);
            end = at + size;
        }
        count_stretch(first, opcodes, start, end);
    }

    /// Opcode, address and bytes of an instruction.
    fn read(instruction: *mut Instruction) -> (u32, u64, u64) {
        // SAFETY: QEMU gave the instruction, which is valid during the translation.
        let size = unsafe { qemu_plugin_insn_size(instruction) };
        // SAFETY: as above.
        let at = unsafe { qemu_plugin_insn_vaddr(instruction) };
        // SAFETY: as above.
        let data = unsafe { qemu_plugin_insn_data(instruction) }.cast::<u16>();
        // SAFETY: every instruction has two bytes or four.
        let half = |index| unsafe { data.wrapping_add(index).read_unaligned() };
        let opcode = match size {
            2 => u32::from(half(0)),
            _ => u32::from(half(0)) << 16 | u32::from(half(1)),
        };
        (opcode, at, size as u64)
    }

    fn count_stretch(first: *mut Instruction, opcodes: Vec<u32>, start: u64, end: u64) {
        if opcodes.is_empty() {
            return;
        }
        let (executed, left) = (AtomicU64::new(0), AtomicU64::new(0));
        // For ever: translated code refers to it.
        let stretch: &Stretch =
            Box::leak(Box::new(Stretch { opcodes, start, end, executed, left }));
        if let Ok(mut all) = STRETCHES.lock() {
            all.push(stretch);
        }
        let data = core::ptr::from_ref(stretch).cast_mut().cast();
        // SAFETY: the function and the stretch live as long as the plugin.
        unsafe { qemu_plugin_register_vcpu_insn_exec_cb(first, execute, NO_REGISTERS, data) };
    }

    extern "C" fn execute(_processor: c_uint, data: *mut c_void) {
        let this: *mut Stretch = data.cast();
        let last = LAST.swap(this, Ordering::Relaxed);
        // SAFETY: only stretches that live for ever were handed out.
        let (this, last) = (unsafe { this.as_ref() }, unsafe { last.as_ref() });
        let Some(this) = this else { return };
        this.executed.fetch_add(1, Ordering::Relaxed);
        if let Some(last) = last.filter(|last| last.end != this.start) {
            last.left.fetch_add(1, Ordering::Relaxed);
        }
    }

    extern "C" fn mark(_processor: c_uint, data: *mut c_void) {
        let Ok(stretches) = STRETCHES.lock() else { return };
        LAST.store(null_mut(), Ordering::Relaxed);
        if data.addr() == STOP as usize {
            print(&stretches);
        }
        for stretch in &*stretches {
            stretch.executed.store(0, Ordering::Relaxed);
            stretch.left.store(0, Ordering::Relaxed);
        }
    }

    fn print(stretches: &[&Stretch]) {
        let mut counts: BTreeMap<u32, (u64, u64)> = BTreeMap::new();
        let mut instructions = 0;
        for stretch in stretches {
            let executed = stretch.executed.load(Ordering::Relaxed);
            for &opcode in &stretch.opcodes {
                counts.entry(opcode).or_default().0 += executed;
                instructions += executed;
            }
            if let Some(last) = stretch.opcodes.last().and_then(|last| counts.get_mut(last)) {
                last.1 += stretch.left.load(Ordering::Relaxed);
            }
        }
        eprintln!("region 0 {instructions}");
        for (opcode, (executed, left)) in counts.iter().filter(|(_, (executed, _))| *executed > 0) {
            eprintln!("opcode {opcode:x} {executed} {left}");
        }
    }
}
