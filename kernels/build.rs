//! Names the instruction sets of Arm microcontrollers, which stable compilers do not tell code.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-check-cfg=cfg(armv6m, armv7em, armv7em_f16, armv7m, mve)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let named = |cpus: &[&'static str]| cpus.iter().copied().find(|cpu| flags.contains(cpu));
    // An Armv8-M may lack the DSP extension and Helium, so its processor must be named.
    let armv8m = target.starts_with("thumbv8m.main");
    let helium = named(&["cortex-m55", "cortex-m85"]).filter(|_| armv8m);
    let dsp = helium.or_else(|| named(&["cortex-m33"]).filter(|_| armv8m));
    if dsp.is_some() || target.starts_with("thumbv7em") || target.starts_with("thumbv7neon") {
        println!("cargo:rustc-cfg=armv7em");
    }
    // Where the DSP extension is, nobody asks for less, except a test.
    for (cfg, chip) in [("armv6m", "thumbv6m"), ("armv7m", "thumbv7m")] {
        if target.starts_with(chip) || target.starts_with("thumbv7neon") {
            println!("cargo:rustc-cfg={cfg}");
        }
    }
    if helium.is_some() {
        println!("cargo:rustc-cfg=mve");
    }
    // A linker that optimizes across crates reads assembly without the compiler's flags.
    let directive = dsp.map_or(String::new(), |cpu| format!(".cpu {cpu}"));
    println!("cargo:rustc-env=MOTE_CPU_DIRECTIVE={directive}");
    // Every FPU of these chips converts halves and fuses; of Armv7-A, which stands in for tests, only
    // some do.
    let chip = dsp.is_some() || target.starts_with("thumbv7em");
    let stand_in = target.starts_with("thumbv7neon") && named(&["cortex-a7"]).is_some();
    if chip && target.ends_with("eabihf") || stand_in {
        println!("cargo:rustc-cfg=armv7em_f16");
    }
}
