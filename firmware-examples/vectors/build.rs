//! The linker script that names a device's interrupt handlers: there are none. And which processors
//! load and store words at any address: all but Armv6-M and its successor.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("device.x"), "")?;
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-check-cfg=cfg(words_anywhere)");
    let target = env::var("TARGET")?;
    if target.starts_with("thumbv7") || target.starts_with("thumbv8m.main") {
        println!("cargo:rustc-cfg=words_anywhere");
    }
    Ok(())
}
