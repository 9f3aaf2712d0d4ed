//! A plugin for `qemu-aarch64` that counts executed instructions between markers.
//!
//! `hint #96 + N` starts region N and `hint #112 + N` ends it, N below 16; on a real machine both do
//! nothing. Each end writes a line `region N INSTRUCTIONS` to the standard error, markers not
//! counted. Regions may nest. Counts are exact unless an instruction faults, for one thread.
//!
//! Written for version 1 of the plugin interface, QEMU 6.0 to 8.1; a newer QEMU says that it does not
//! support it.
#![allow(unsafe_code, reason = "speaks QEMU's C interface")]

use core::ffi::{c_char, c_int, c_uint, c_void};
use core::ptr::null_mut;
use core::sync::atomic::{AtomicU64, Ordering};
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
    _info: *const c_void,
    _argc: c_int,
    _argv: *const *const c_char,
) -> c_int {
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
