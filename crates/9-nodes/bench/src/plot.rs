//! Chart of a comparison, as SVG: one bar for each system, divided into the phases of its boot.

use std::fmt::Write as _;

use crate::{BenchmarkReport, MILESTONES};

const WIDTH: f64 = 860.0;
/// Left edge of the bars, in user units of the SVG; the systems' names stand to its left.
const LEFT: f64 = 120.0;
const RIGHT: f64 = 40.0;
const TOP: f64 = 92.0;
const BAR: f64 = 46.0;
const GAP: f64 = 34.0;
/// Fill colours of the phases.
const COLOURS: [&str; MILESTONES.len()] = ["#1b2a3a", "#33658a", "#86bbd8", "#f6ae2d", "#f26419"];
/// Names of the phases; each ends with the milestone of the same index.
const PHASES: [&str; MILESTONES.len()] = ["firmware", "loader", "kernel", "system and kubelet", "first pod"];

/// Renders the chart as a self-contained SVG document, from the medians of all runs.
pub fn svg(report: &BenchmarkReport) -> String {
    let longest = report
        .systems
        .iter()
        .map(|system| system.summary(MILESTONES.len() - 1).median)
        .fold(1.0, f64::max);
    let step = tick(longest);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let bars: f64 = report.systems.iter().map(|_| BAR + GAP).sum();
    let bottom = TOP + bars - GAP + 14.0;
    let height = bottom + 64.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" \
         font-size=\"14\">\n<title>From power-on to the first pod</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(
        &mut svg,
        LEFT,
        28.0,
        "start",
        "18",
        "From power-on to the first pod, in seconds",
    );
    legend(&mut svg);
    let mut second = 0.0;
    while second <= longest {
        let x = LEFT + second * scale;
        let _ = writeln!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#d5dbe1\"/>",
            TOP - 8.0
        );
        text(&mut svg, x, bottom + 18.0, "middle", "12", &format!("{second:.0}"));
        second += step;
    }
    let mut y = TOP;
    for system in &report.systems {
        text(&mut svg, LEFT - 12.0, y + BAR / 2.0 + 5.0, "end", "15", &system.name);
        let mut before = 0.0;
        for (index, (phase, colour)) in PHASES.iter().zip(COLOURS).enumerate() {
            let at = system.summary(index).median;
            let _ = writeln!(
                svg,
                "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"><title>{phase}: {:.1} s</title></rect>",
                LEFT + before * scale,
                ((at - before) * scale).max(0.0),
                at - before
            );
            before = at;
        }
        let ready = system.summary(3).median;
        let label = format!("Ready {ready:.1} s, first pod {before:.1} s");
        text(&mut svg, LEFT, y + BAR + 16.0, "start", "13", &label);
        y += BAR + GAP;
    }
    text(&mut svg, LEFT, height - 14.0, "start", "11", &report.setting());
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String) {
    let mut x = LEFT;
    for (phase, colour) in PHASES.iter().zip(COLOURS) {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"48\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
        );
        text(svg, x + 18.0, 59.0, "start", "13", phase);
        x += 42.0 + phase.chars().map(|_| 7.2).sum::<f64>();
    }
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, size: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"#1b2a3a\">{words}</text>"
    );
}

/// Distance between two grid lines in seconds: the smallest round number that gives at most nine intervals.
fn tick(longest: f64) -> f64 {
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0]
        .into_iter()
        .find(|step| longest / step <= 9.0)
        .unwrap_or(200.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_stays_as_it_is() {
        insta::assert_snapshot!(svg(&crate::report::example()));
    }

    #[test]
    fn lines_are_at_round_seconds() {
        assert_eq!([5.0, 24.0, 68.0, 400.0].map(tick), [1.0, 5.0, 10.0, 50.0]);
    }
}
