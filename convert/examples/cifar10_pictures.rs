//! Fetches CIFAR-10 and writes a few of its test pictures as files, one of each class.
//!
//! `cargo run --release -p mote-convert --example cifar10_pictures -- FOLDER` prints the folder of
//! the whole data set, which `mote evaluate --data` and `mote quantize --calibration` read.

use core::error::Error;
use std::{env, fs, path::PathBuf};

use mote_convert::data::{Content, Dataset};
use mote_convert::fetch::{CIFAR10, fetch};

fn main() -> Result<(), Box<dyn Error>> {
    let folder =
        env::args_os().nth(1).map(PathBuf::from).ok_or("usage: cifar10_pictures FOLDER")?;
    let data = fetch(&CIFAR10, &mut |what| eprintln!("{what}"))?;

    fs::create_dir_all(&folder)?;
    let test = Dataset::open(&data, Some("test"))?;
    let mut seen = vec![false; test.classes().len()];
    for index in 0..test.len() {
        let sample = test.sample(index)?;
        let (Some(label), Content::Picture(picture)) = (sample.label, sample.content) else {
            continue;
        };
        if core::mem::replace(&mut seen[label], true) {
            continue;
        }
        let file = folder.join(format!("{}.png", test.classes()[label]));
        image::save_buffer(
            file,
            picture.rgb(),
            picture.width(),
            picture.height(),
            image::ColorType::Rgb8,
        )?;
        if seen.iter().all(|&seen| seen) {
            break;
        }
    }
    println!("{}", data.display());
    Ok(())
}
