//! A blob's plan as a picture: arena bytes against time.

use core::fmt::Write;
use core::ops::Range;

use mote_engine::format::IN_PLACE;

use crate::blob::Blob;

/// Everything that lies in the arena, with its time.
#[derive(Clone, Debug)]
pub struct MemoryMap {
    /// Size of the arena.
    pub arena_bytes: usize,
    /// Number of operations.
    pub ops: usize,
    /// Tensors and scratches.
    pub windows: Vec<Window>,
}

/// Bytes of the arena during some operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What lies there.
    pub name: String,
    /// Where.
    pub range: Range<usize>,
    /// First operation that needs it.
    pub first_op: usize,
    /// Last operation that needs it.
    pub last_op: usize,
    /// Whether it is an operation's scratch.
    pub is_scratch: bool,
    /// Whether it took the place of the operation's input.
    pub in_place: bool,
}

impl MemoryMap {
    /// The plan of `blob`.
    #[must_use]
    pub fn of(blob: &Blob) -> Self {
        let model = blob.model();
        let ops = model.op_count();
        let tensors = (0..model.tensor_count()).filter_map(|index| {
            let tensor = model.tensor(index)?;
            let writer = index.checked_sub(1);
            let flags = writer.and_then(|op| model.blob().ops().get(op)).map_or(0, |op| op.flags);
            Some(Window {
                name: blob.name(index),
                range: tensor.window(),
                first_op: writer.unwrap_or(0),
                last_op: tensor.last_use.min(ops - 1),
                is_scratch: false,
                in_place: flags & IN_PLACE != 0,
            })
        });
        let scratches = (0..ops).filter_map(|index| {
            let range = model.op(index)?.scratch();
            (!range.is_empty()).then(|| Window {
                name: format!("scratch of {}", blob.name(index + 1)),
                range,
                first_op: index,
                last_op: index,
                is_scratch: true,
                in_place: false,
            })
        });
        let windows = tensors.chain(scratches).collect();
        Self { arena_bytes: model.arena_bytes(), ops, windows }
    }

    /// What lies in the arena while operation `op` runs.
    pub fn at(&self, op: usize) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| (window.first_op..=window.last_op).contains(&op))
    }

    /// Bytes taken while operation `op` runs; shared ones count once.
    #[must_use]
    pub fn live_bytes(&self, op: usize) -> usize {
        let mut ranges: Vec<&Range<usize>> = self.at(op).map(|window| &window.range).collect();
        ranges.sort_by_key(|range| range.start);
        let (mut total, mut end) = (0, 0);
        for range in ranges {
            total += range.end.saturating_sub(range.start.max(end));
            end = end.max(range.end);
        }
        total
    }

    /// Scratch of operation `op`.
    #[must_use]
    pub fn scratch_bytes(&self, op: usize) -> usize {
        self.at(op).filter(|window| window.is_scratch).map(|window| window.range.len()).sum()
    }
}

/// Draws the map: time to the right, arena bytes upwards.
#[must_use]
pub fn svg(map: &MemoryMap) -> String {
    const COLUMN: usize = 28;
    const HEIGHT: usize = 420;
    const LEFT: usize = 90;
    const TOP: usize = 30;
    const BOTTOM: usize = 40;
    // A qualitative palette that stays apart in grey.
    const COLOURS: [&str; 6] = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2"];
    let width = LEFT + map.ops * COLUMN + 20;
    let total_height = TOP + HEIGHT + BOTTOM;
    let arena = map.arena_bytes.max(1);
    let y = |byte: usize| TOP + HEIGHT - byte * HEIGHT / arena;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{total_height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let _ = writeln!(
        text,
        "<text x=\"{LEFT}\" y=\"18\" font-size=\"13\">Arena of {} bytes over {} operations</text>",
        map.arena_bytes, map.ops
    );
    for (index, window) in map.windows.iter().enumerate() {
        let (top, bottom) = (y(window.range.end), y(window.range.start));
        let colour = if window.is_scratch { "#bbbbbb" } else { COLOURS[index % COLOURS.len()] };
        let _ = writeln!(
            text,
            "<rect x=\"{}\" y=\"{top}\" width=\"{}\" height=\"{}\" fill=\"{colour}\" \
             fill-opacity=\"0.8\" stroke=\"white\"><title>{}: bytes {}..{}, operations {} to {}{}\
             </title></rect>",
            LEFT + window.first_op * COLUMN,
            (window.last_op - window.first_op + 1) * COLUMN,
            (bottom - top).max(1),
            escape(&window.name),
            window.range.start,
            window.range.end,
            window.first_op,
            window.last_op,
            if window.in_place { ", in place" } else { "" },
        );
    }
    for quarter in 0..=4 {
        let byte = map.arena_bytes * quarter / 4;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{byte}</text>\
             <line x1=\"{LEFT}\" x2=\"{right}\" y1=\"{line}\" y2=\"{line}\" stroke=\"#ccc\"/>",
            LEFT - 8,
            y(byte) + 4,
            line = y(byte),
            right = width - 20,
        );
    }
    for op in (0..map.ops).step_by(5) {
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{op}</text>",
            LEFT + op * COLUMN + COLUMN / 2,
            TOP + HEIGHT + 18,
        );
    }
    text.push_str("</svg>\n");
    text
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
