//! `mote send`: to a board on a serial line.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serial2::SerialPort;

use super::output::{Output, grouped};
use super::source::{Feed, open_blob};
use crate::picture::Picture;
use crate::preprocess::Preprocess;
use crate::send::{Board, Seen};

/// Sends a picture to a board on a serial line, or a new model; alone, asks what it runs.
///
/// The board runs the firmware `serve`: `mote flash BLOB --board pico --serve --image FILE.uf2`
/// makes it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The picture to classify.
    picture: Option<PathBuf>,
    /// The serial line, such as /dev/ttyACM0 or COM3.
    #[arg(long, value_name = "PORT")]
    port: PathBuf,
    /// Its speed.
    #[arg(long, value_name = "N", default_value_t = 115_200)]
    baud: u32,
    /// A blob that the board is to run from now on. It keeps the old one until the new one is whole.
    #[arg(long, value_name = "BLOB")]
    update: Option<PathBuf>,
    /// How the picture becomes the input. Default: what the board's blob says.
    #[arg(long, value_name = "RULE")]
    preprocess: Option<Preprocess>,
}

#[derive(Debug, Serialize)]
struct Report<'a> {
    port: &'a Path,
    /// Height, width, channels.
    input: [usize; 3],
    blob_checksum: String,
    slot_bytes: u32,
    updated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<Answer>,
}

#[derive(Debug, Serialize)]
struct Answer {
    class: u32,
    label: String,
    score: f32,
    output: Vec<i8>,
}

pub(super) fn run(args: &Args, output: &Output) -> anyhow::Result<()> {
    // Whatever is wrong with the files is said before the board is disturbed.
    let blob = args.update.as_deref().map(open_blob).transpose()?;
    let picture = args.picture.as_deref().map(Picture::open).transpose()?;
    let port = SerialPort::open(&args.port, args.baud)
        .with_context(|| format!("cannot open {}", args.port.display()))?;
    let mut board = Board::connect(port)?;
    if let Some(blob) = &blob {
        let bar = output.progress(blob.bytes().len(), "update");
        board.update(blob.bytes(), &|bytes| bar.set_position(bytes as u64))?;
        bar.finish_and_clear();
    }
    let seen =
        picture.map(|picture| classify(&mut board, &picture, args.preprocess)).transpose()?;
    let info = board.info();
    let report = Report {
        port: &args.port,
        input: info.input,
        blob_checksum: format!("{:08x}", info.blob_checksum),
        slot_bytes: info.slot_bytes,
        updated: blob.is_some(),
        seen: seen.map(|Seen { class, label, score, output }| {
            let label = if label.is_empty() { class.to_string() } else { label };
            Answer { class, label, score, output }
        }),
    };
    output.report(&report, text)
}

fn classify(
    board: &mut Board<SerialPort>,
    picture: &Picture,
    flag: Option<Preprocess>,
) -> anyhow::Result<Seen> {
    let info = board.info();
    let preprocess = flag.or(info.preprocess).context(
        "the board's blob does not say how pictures become its input; give --preprocess",
    )?;
    let [height, width, channels] = info.input;
    let feed = Feed::with_shape(preprocess, height, width, height * width * channels)?;
    let input = board.quantize(&feed.picture(picture));
    Ok(board.run(&input)?)
}

fn text(report: &Report<'_>) -> String {
    let [height, width, channels] = report.input;
    let mut text = format!(
        "{}: blob {} with input {height} x {width} x {channels}",
        report.port.display(),
        report.blob_checksum,
    );
    if report.updated {
        text.push_str(", new");
    }
    match report.slot_bytes {
        0 => text.push('\n'),
        bytes => text.push_str(&format!("; takes others of up to {} bytes\n", grouped(bytes))),
    }
    if let Some(Answer { label, score, .. }) = &report.seen {
        text.push_str(&format!("{label}  {score:.4}\n"));
    }
    text
}
