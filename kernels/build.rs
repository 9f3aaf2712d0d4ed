//! Names the instruction sets of Arm microcontrollers, which stable compilers do not tell code.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(armv7em)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let has_cpu = |names: &[&str]| names.iter().any(|name| flags.contains(name));
    // Every Armv7E-M has the DSP extension; an Armv8-M may lack it, so its processor must be named.
    if target.starts_with("thumbv7em")
        || target.starts_with("thumbv8m.main")
            && has_cpu(&["cortex-m33", "cortex-m55", "cortex-m85", "+dsp"])
        || target.starts_with("thumbv7neon")
    {
        println!("cargo:rustc-cfg=armv7em");
    }
}
