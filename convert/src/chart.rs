//! Charts as SVG: learning curves and confusion matrices.

use core::fmt::Write;

use crate::fit::{Epoch, Scores};
use crate::memory_map::escape;

/// Left edge, top, width and height of a plot.
#[derive(Clone, Copy)]
struct Frame {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 260.0;
const TRAINING: &str = "#4c78a8";
const VALIDATION: &str = "#f58518";

/// Loss and accuracy over the epochs, training and validation; phases are parted by lines.
#[must_use]
pub fn learning_curves(epochs: &[Epoch]) -> String {
    let mut svg = begin(WIDTH, HEIGHT);
    let half = WIDTH / 2.0;
    let losses = epochs.iter().map(|epoch| [epoch.loss, epoch.validation_loss]).collect();
    let accuracies = epochs.iter().map(|epoch| [epoch.accuracy, epoch.validation_accuracy]);
    let plots: [(&str, Vec<[f64; 2]>); 2] = [("loss", losses), ("accuracy", accuracies.collect())];
    for (index, (title, curves)) in plots.into_iter().enumerate() {
        let left = if index == 0 { 50.0 } else { half + 50.0 };
        let frame = Frame { left, top: 30.0, width: half - 70.0, height: HEIGHT - 70.0 };
        plot(&mut svg, frame, title, &curves, title == "accuracy");
        for at in 1..epochs.len() {
            if epochs[at].phase != epochs[at - 1].phase {
                let x = frame.x(at as f64 - 0.5, epochs.len());
                let _ = writeln!(
                    svg,
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke=\"#999\" \
                     stroke-dasharray=\"4 3\"/>",
                    frame.top,
                    frame.top + frame.height
                );
            }
        }
    }
    for (name, colour, x) in [("training", TRAINING, 50.0), ("validation", VALIDATION, 130.0)] {
        let y = HEIGHT - 8.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{y}\">{name}</text>",
            y - 9.0,
            x + 14.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The matrix with a row a label and a column a prediction; the darker, the larger the share of the
/// row. Above [`MAX_CLASSES`] classes it is no picture any more: empty.
#[must_use]
pub fn confusion_matrix(scores: &Scores, classes: &[String]) -> String {
    if classes.len() > MAX_CLASSES {
        return String::new();
    }
    const CELL: f64 = 42.0;
    const NAMES: f64 = 110.0;
    let side = CELL * classes.len() as f64;
    let mut svg = begin(NAMES + side + 20.0, NAMES + side + 20.0);
    let _ = writeln!(svg, "<text x=\"8\" y=\"18\">label \\ prediction</text>");
    for (row, (name, counts)) in classes.iter().zip(&scores.confusion).enumerate() {
        let y = NAMES + CELL * row as f64;
        let middle = y + CELL / 2.0;
        let name = escape(&shortened(name));
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>\
             <text transform=\"translate({:.1} {}) rotate(-60)\">{name}</text>",
            NAMES - 6.0,
            middle + 4.0,
            middle + 4.0,
            NAMES - 6.0
        );
        let total: u32 = counts.iter().sum();
        for (column, &count) in counts.iter().enumerate() {
            let share = f64::from(count) / f64::from(total.max(1));
            let colour = if row == column { TRAINING } else { "#e45756" };
            let x = NAMES + CELL * column as f64;
            let ink = if share > 0.5 { "white" } else { "#222" };
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"{colour}\" \
                 fill-opacity=\"{share:.3}\" stroke=\"#ddd\"/><text x=\"{:.1}\" y=\"{:.1}\" \
                 text-anchor=\"middle\" fill=\"{ink}\">{count}</text>",
                x + CELL / 2.0,
                middle + 4.0
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// The most classes whose confusions are drawn.
pub const MAX_CLASSES: usize = 40;

fn begin(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    )
}

fn shortened(name: &str) -> String {
    const LONGEST: usize = 16;
    let mut short: String = name.chars().take(LONGEST).collect();
    if short.len() < name.len() {
        short.push('…');
    }
    short
}

impl Frame {
    /// Epochs stand in the middle of their column.
    fn x(self, at: f64, count: usize) -> f64 {
        self.left + self.width * (at + 0.5) / count as f64
    }
}

fn plot(svg: &mut String, frame: Frame, title: &str, curves: &[[f64; 2]], is_share: bool) {
    let largest = curves.iter().flatten().copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    let top = if is_share { 1.0 } else { largest.max(1e-3) };
    let y = |value: f64| frame.top + frame.height * (1.0 - (value / top).clamp(0.0, 1.0));
    let _ = writeln!(svg, "<text x=\"{}\" y=\"18\" font-size=\"13\">{title}</text>", frame.left);
    for quarter in 0..=4 {
        let value = top * f64::from(quarter) / 4.0;
        let text = if is_share { format!("{:.0} %", value * 100.0) } else { format!("{value:.2}") };
        let _ = writeln!(
            svg,
            "<line x1=\"{}\" x2=\"{}\" y1=\"{line:.1}\" y2=\"{line:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
            frame.left,
            frame.left + frame.width,
            frame.left - 5.0,
            y(value) + 4.0,
            line = y(value),
        );
    }
    for (which, colour) in [TRAINING, VALIDATION].into_iter().enumerate() {
        let mut points = String::new();
        for (at, values) in curves.iter().enumerate() {
            let _ =
                write!(points, "{:.1},{:.1} ", frame.x(at as f64, curves.len()), y(values[which]));
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
    }
    let bottom = frame.top + frame.height + 15.0;
    for (at, anchor, x) in
        [(1, "start", frame.left), (curves.len(), "end", frame.left + frame.width)]
    {
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"{bottom}\" text-anchor=\"{anchor}\">epoch {at}</text>"
        );
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn epoch(phase: usize, epoch: usize, loss: f64) -> Epoch {
        Epoch {
            phase,
            strategy: "head".into(),
            epoch,
            rate: 1e-3,
            loss,
            accuracy: 0.5,
            validation_loss: loss + 0.1,
            validation_accuracy: 0.25,
            best: true,
            seconds: 0.1,
        }
    }

    #[test]
    fn curves_have_a_point_an_epoch_and_a_line_between_phases() {
        let epochs = [epoch(0, 1, 2.0), epoch(0, 2, 1.0), epoch(1, 1, 0.5)];
        let svg = learning_curves(&epochs);
        let points = svg.lines().filter(|line| line.starts_with("<polyline"));
        let counts: Vec<usize> = points.map(|line| line.matches(',').count()).collect();
        assert_eq!(counts, [3; 4]);
        assert_eq!(svg.matches("stroke-dasharray").count(), 2);
        assert!(!learning_curves(&[]).contains("NaN"));
        assert!(learning_curves(&[epoch(0, 1, f64::NAN)]).ends_with("</svg>\n"));
    }

    #[test]
    fn names_are_escaped_and_many_classes_not_drawn() {
        let scores = Scores { confusion: vec![vec![3, 1], vec![0, 4]], ..Scores::default() };
        let classes = ["<b>", "a name that is too long to be shown"].map(String::from);
        let svg = confusion_matrix(&scores, &classes);
        assert!(svg.contains("&lt;b&gt;") && svg.contains("a name that is t…"));
        assert_eq!(svg.matches("fill-opacity").count(), 4);
        assert_eq!(scores.confused(5), [(0, 1, 1)]);
        let many: Vec<String> = (0..=MAX_CLASSES).map(|class| class.to_string()).collect();
        assert!(confusion_matrix(&scores, &many).is_empty());
    }
}
