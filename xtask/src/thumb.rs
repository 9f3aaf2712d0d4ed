//! What the instructions of a Cortex-M cost, by static tables of Arm's manuals.
//!
//! Memory without wait states, no load overlapped with the next, and nothing known about the values:
//! where the manual gives a range, the table takes its end. So estimates are upper bounds of the core
//! alone; flash with wait states adds to them.

/// Cycles of a core. Every instruction that no field names takes one.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) core: &'static str,
    load: u64,
    store: u64,
    /// A store whose address is the sum of two registers.
    store_indexed: u64,
    /// What a branch that is taken adds, a call, and a return by `POP` or another load.
    taken: u64,
    call: u64,
    loaded: u64,
    multiply_add: u64,
    long_multiply: u64,
    long_multiply_add: u64,
    divide: u64,
    /// `MRS`, `MSR` and barriers.
    system: u64,
}

/// DDI 0432, with the multiplier of one cycle.
const CORTEX_M0: Table = Table {
    core: "cortex-m0",
    load: 2,
    store: 2,
    store_indexed: 2,
    taken: 2,
    call: 2,
    loaded: 3,
    multiply_add: 1,
    long_multiply: 1,
    long_multiply_add: 1,
    divide: 1,
    system: 4,
};

/// DDI 0337; a branch refills the pipeline in one to three cycles, here in two.
const CORTEX_M3: Table = Table {
    core: "cortex-m3",
    load: 2,
    store: 1,
    store_indexed: 2,
    taken: 2,
    call: 2,
    loaded: 2,
    multiply_add: 2,
    long_multiply: 5,
    long_multiply_add: 7,
    divide: 12,
    system: 2,
};

/// DDI 0439.
const CORTEX_M4: Table = Table {
    core: "cortex-m4",
    multiply_add: 1,
    long_multiply: 1,
    long_multiply_add: 1,
    ..CORTEX_M3
};

/// The table of a target of `mote quantize`.
pub(crate) fn table(target: &str) -> Option<&'static Table> {
    match target {
        "cortex-m0plus" => Some(&CORTEX_M0),
        "cortex-m3" => Some(&CORTEX_M3),
        "cortex-m4" => Some(&CORTEX_M4),
        _ => None,
    }
}

/// How an instruction goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// With the next one.
    On,
    /// Elsewhere, or with the next one.
    Conditional,
    /// Elsewhere.
    Branch,
    /// Elsewhere, to come back.
    Call,
    /// Where a word from memory says.
    Loaded,
}

/// What an instruction does, as far as its time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Load,
    Store,
    StoreIndexed,
    /// Loads or stores of so many words.
    Words(u32),
    MultiplyAdd,
    LongMultiply,
    LongMultiplyAdd,
    Divide,
    System,
    /// Two words between the register files.
    Transfer,
    FloatMultiplyAdd,
    FloatDivide,
}

/// Cycles of `count` executions of the instruction `opcode`, of which `taken` branched. One of 32 bits
/// has its first half in the upper 16.
pub(crate) fn cycles(table: &Table, opcode: u32, count: u64, taken: u64) -> u64 {
    let (kind, flow) = decode(opcode);
    let each = match kind {
        Kind::Plain => 1,
        Kind::Load => table.load,
        Kind::Store => table.store,
        Kind::StoreIndexed => table.store_indexed,
        Kind::Words(words) => 1 + u64::from(words),
        Kind::MultiplyAdd => table.multiply_add,
        Kind::LongMultiply => table.long_multiply,
        Kind::LongMultiplyAdd => table.long_multiply_add,
        Kind::Divide => table.divide,
        Kind::System => table.system,
        Kind::Transfer => 2,
        Kind::FloatMultiplyAdd => 3,
        Kind::FloatDivide => 14,
    };
    let refills = match flow {
        Flow::On => 0,
        Flow::Conditional => taken * table.taken,
        Flow::Branch => count * table.taken,
        Flow::Call => count * table.call,
        Flow::Loaded => count * table.loaded,
    };
    count * each + refills
}

/// Whether the next instruction may or may not follow.
fn decode(opcode: u32) -> (Kind, Flow) {
    if opcode >> 16 == 0 { decode_16(opcode) } else { decode_32(opcode >> 16, opcode & 0xffff) }
}

fn decode_16(opcode: u32) -> (Kind, Flow) {
    const PC: u32 = 15;
    let load_or_store = |is_load| if is_load { Kind::Load } else { Kind::Store };
    let words = (opcode & 0xff).count_ones() + (opcode >> 8 & 1);
    match opcode >> 11 {
        0b01000 if opcode >> 8 == 0x47 => {
            (Kind::Plain, if opcode & 0x80 == 0 { Flow::Branch } else { Flow::Call })
        }
        // ADD and MOV to the program counter.
        0b01000 if opcode >> 10 == 0x11 && (opcode & 7 | opcode >> 4 & 8) == PC => {
            let is_compare = opcode >> 8 & 3 == 1;
            (Kind::Plain, if is_compare { Flow::On } else { Flow::Branch })
        }
        0b01001 => (Kind::Load, Flow::On),
        0b01010 if opcode >> 9 & 3 != 3 => (Kind::StoreIndexed, Flow::On),
        0b01010 | 0b01011 => (Kind::Load, Flow::On),
        0b01100..=0b10011 => (load_or_store(opcode >> 11 & 1 == 1), Flow::On),
        0b10110 | 0b10111 => match opcode >> 8 & 0xf {
            0x1 | 0x3 | 0x9 | 0xb => (Kind::Plain, Flow::Conditional),
            0x4 | 0x5 => (Kind::Words(words), Flow::On),
            0xc => (Kind::Words(words), Flow::On),
            0xd => (Kind::Words(words), Flow::Loaded),
            _ => (Kind::Plain, Flow::On),
        },
        0b11000 | 0b11001 => (Kind::Words((opcode & 0xff).count_ones()), Flow::On),
        0b11010 | 0b11011 if opcode >> 8 & 0xf < 0xe => (Kind::Plain, Flow::Conditional),
        0b11100 => (Kind::Plain, Flow::Branch),
        _ => (Kind::Plain, Flow::On),
    }
}

fn decode_32(first: u32, second: u32) -> (Kind, Flow) {
    let to_pc = second >> 15 == 1;
    let rt_is_pc = second >> 12 == 15;
    if first >> 9 & 0x7f == 0b111_0110 || first >> 8 == 0xee {
        return (decode_float(first, second), Flow::On);
    }
    match (first >> 11 & 3, first >> 4 & 0x7f) {
        // Several registers: of a load the program counter may be one.
        (1, op) if op & 0b110_0100 == 0 => {
            let is_load = first >> 4 & 1 == 1;
            (
                Kind::Words(second.count_ones()),
                if is_load && to_pc { Flow::Loaded } else { Flow::On },
            )
        }
        // Two registers, exclusives, table branches.
        (1, op) if op & 0b110_0100 == 0b000_0100 => match (first >> 4 & 0x1f, second >> 4 & 0xf) {
            (0b01101, 0 | 1) => (Kind::Load, Flow::Branch),
            _ if first >> 5 & 1 == 1 || first >> 8 & 1 == 1 => (Kind::Words(2), Flow::On),
            _ => (Kind::Load, Flow::On),
        },
        (2, _) if to_pc => match (second >> 14 & 1, second >> 12 & 1) {
            (0, 0) if first >> 7 & 7 == 7 => {
                let is_hint = first == 0xf3af;
                (if is_hint { Kind::Plain } else { Kind::System }, Flow::On)
            }
            (0, 0) => (Kind::Plain, Flow::Conditional),
            (0, _) => (Kind::Plain, Flow::Branch),
            _ => (Kind::Plain, Flow::Call),
        },
        (3, op) if op & 0b111_0001 == 0 => {
            let is_indexed = first >> 7 & 1 == 0 && second >> 11 & 1 == 0;
            (if is_indexed { Kind::StoreIndexed } else { Kind::Store }, Flow::On)
        }
        (3, op) if op & 0b110_0001 == 1 => {
            let is_word = op >> 1 & 3 == 2;
            (Kind::Load, if is_word && rt_is_pc { Flow::Loaded } else { Flow::On })
        }
        // Without something to add it is a plain multiplication.
        (3, op) if op >> 3 == 0b0110 && !rt_is_pc => (Kind::MultiplyAdd, Flow::On),
        (3, op) if op >> 3 == 0b0111 => {
            let kind = match op & 7 {
                0 | 2 => Kind::LongMultiply,
                1 | 3 => Kind::Divide,
                _ => Kind::LongMultiplyAdd,
            };
            (kind, Flow::On)
        }
        _ => (Kind::Plain, Flow::On),
    }
}

/// The coprocessor space, of which these cores have the FPU.
fn decode_float(first: u32, second: u32) -> Kind {
    if first >> 8 == 0xee {
        let is_transfer = second >> 4 & 1 == 1;
        return match (first >> 7 & 1, first >> 4 & 3) {
            _ if is_transfer => Kind::Plain,
            (0, 0 | 1) | (1, 1 | 2) => Kind::FloatMultiplyAdd,
            (1, 0) => Kind::FloatDivide,
            // Square roots are among the many of one operand.
            (1, 3) if first & 0xf == 1 && second >> 6 & 3 == 3 => Kind::FloatDivide,
            _ => Kind::Plain,
        };
    }
    match (first >> 8 & 1, first >> 5 & 1) {
        (0, 0) if first >> 7 & 1 == 0 => Kind::Transfer,
        (1, 0) if second >> 8 & 1 == 0 => Kind::Words(1),
        (1, 0) => Kind::Words(2),
        _ => Kind::Words(second & 0xff),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(table: &Table, opcode: u32) -> u64 {
        cycles(table, opcode, 1, 1)
    }

    /// Encodings as an assembler gives them, with the cycles on the M0 and on the M4 when taken.
    #[test]
    fn narrow_instructions() {
        for (opcode, m0, m4, text) in [
            (0x1c40, 1, 1, "adds r0, r0, #1"),
            (0x4348, 1, 1, "muls r0, r1"),
            (0x4770, 3, 3, "bx lr"),
            (0x4798, 3, 3, "blx r3"),
            (0x468f, 3, 3, "mov pc, r1"),
            (0x4608, 1, 1, "mov r0, r1"),
            (0x45b7, 1, 1, "cmp pc, r6"),
            (0x4801, 2, 2, "ldr r0, [pc, #4]"),
            (0x5088, 2, 2, "str r0, [r1, r2]"),
            (0x5688, 2, 2, "ldrsb r0, [r1, r2]"),
            (0x5c88, 2, 2, "ldrb r0, [r1, r2]"),
            (0x6008, 2, 1, "str r0, [r1]"),
            (0x7808, 2, 2, "ldrb r0, [r1]"),
            (0x8008, 2, 1, "strh r0, [r1]"),
            (0x9801, 2, 2, "ldr r0, [sp, #4]"),
            (0xb082, 1, 1, "sub sp, #8"),
            (0xb100, 3, 3, "cbz r0"),
            (0xb5f0, 6, 6, "push {r4-r7, lr}"),
            (0xbdf0, 9, 8, "pop {r4-r7, pc}"),
            (0xbc30, 3, 3, "pop {r4, r5}"),
            (0xbf08, 1, 1, "it eq"),
            (0xbf00, 1, 1, "nop"),
            (0xc803, 3, 3, "ldm r0, {r0, r1}"),
            (0xd1fe, 3, 3, "bne"),
            (0xe7fe, 3, 3, "b"),
        ] {
            assert_eq!((one(&CORTEX_M0, opcode), one(&CORTEX_M4, opcode)), (m0, m4), "{text}");
        }
        assert_eq!(cycles(&CORTEX_M4, 0xd1fe, 10, 7), 10 + 7 * 2);
    }

    #[test]
    fn wide_instructions() {
        for (opcode, m3, m4, text) in [
            (0xf000_f800, 3, 3, "bl"),
            (0xf000_b800, 3, 3, "b.w"),
            (0xf040_8000, 3, 3, "bne.w"),
            (0xf3ef_8014, 2, 2, "mrs r0, control"),
            (0xf3bf_8f4f, 2, 2, "dsb"),
            (0xf3af_8000, 1, 1, "nop.w"),
            (0xe8bd_8ff0, 12, 12, "pop.w {r4-r11, pc}"),
            (0xe92d_4ff0, 10, 10, "push.w {r4-r11, lr}"),
            (0xe9d1_0100, 3, 3, "ldrd r0, r1, [r1]"),
            (0xe8f1_0102, 3, 3, "ldrd r0, r1, [r1], #8"),
            (0xe8d0_f001, 4, 4, "tbb [r0, r1]"),
            (0xe851_0f00, 2, 2, "ldrex r0, [r1]"),
            (0xeb00_0001, 1, 1, "add.w r0, r0, r1"),
            (0xf100_0001, 1, 1, "add.w r0, r0, #1"),
            (0xf8d1_0100, 2, 2, "ldr.w r0, [r1, #256]"),
            (0xf85d_fb04, 4, 4, "ldr.w pc, [sp], #4"),
            (0xf8c1_0100, 1, 1, "str.w r0, [r1, #256]"),
            (0xf841_0b04, 1, 1, "str r0, [r1], #4"),
            (0xf841_0022, 2, 2, "str.w r0, [r1, r2, lsl #2]"),
            (0xf991_0000, 2, 2, "ldrsb.w r0, [r1]"),
            (0xfb00_f001, 1, 1, "mul r0, r0, r1"),
            (0xfb00_2001, 2, 1, "mla r0, r0, r1, r2"),
            (0xfb20_2001, 2, 1, "smlad r0, r0, r1, r2"),
            (0xfb80_0102, 5, 1, "smull r0, r1, r0, r2"),
            (0xfbc0_0102, 7, 1, "smlal r0, r1, r0, r2"),
            (0xfb90_f0f1, 12, 12, "sdiv r0, r0, r1"),
            (0xfa2f_f081, 1, 1, "sxtb16 r0, r1"),
        ] {
            assert_eq!((one(&CORTEX_M3, opcode), one(&CORTEX_M4, opcode)), (m3, m4), "{text}");
        }
    }

    #[test]
    fn floats() {
        for (opcode, m4, text) in [
            (0xee30_0a20, 1, "vadd.f32 s0, s0, s1"),
            (0xee20_0a20, 1, "vmul.f32 s0, s0, s1"),
            (0xee00_0a20, 3, "vmla.f32 s0, s0, s1"),
            (0xeea0_0a20, 3, "vfma.f32 s0, s0, s1"),
            (0xee80_0a20, 14, "vdiv.f32 s0, s0, s1"),
            (0xeeb1_0ac0, 14, "vsqrt.f32 s0, s0"),
            (0xeeb1_0a40, 1, "vneg.f32 s0, s0"),
            (0xeeb8_0ac0, 1, "vcvt.f32.s32 s0, s0"),
            (0xee00_0a10, 1, "vmov s0, r0"),
            (0xec41_0b10, 2, "vmov d0, r0, r1"),
            (0xed90_0a00, 2, "vldr s0, [r0]"),
            (0xecb0_0a08, 9, "vldmia r0!, {s0-s7}"),
            (0xed2d_8b10, 17, "vpush {d8-d15}"),
        ] {
            assert_eq!(one(&CORTEX_M4, opcode), m4, "{text}");
        }
    }
}
