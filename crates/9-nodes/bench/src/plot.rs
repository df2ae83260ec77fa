//! Chart of a comparison, as SVG: a group of bars for each boot, one for each system, divided into the phases of its boot.

use std::fmt::Write as _;

use crate::{BenchmarkReport, MILESTONES, Measured, Summary};

const WIDTH: f64 = 860.0;
/// Left edge of the bars, in user units of the SVG; the systems' names stand to its left.
const LEFT: f64 = 120.0;
const RIGHT: f64 = 40.0;
/// Upper edge of the first group.
const TOP: f64 = 84.0;
/// Height of a group's title.
const TITLE: f64 = 26.0;
const BAR: f64 = 46.0;
const GAP: f64 = 34.0;
/// Phases of a boot: name, fill colour, and the milestone that ends it, an index into [`MILESTONES`]. Each milestone here
/// comes after the one before it in every boot; "kubelet's first line" is not among them, for it may come before containerd
/// answers.
const PHASES: [(&str, &str, usize); 8] = [
    ("firmware", "#1b2a3a", 0),
    ("loader", "#33658a", 1),
    ("kernel", "#86bbd8", 2),
    ("system", "#9bc1a5", 3),
    ("containerd", "#5b8e6d", 4),
    ("kubelet", "#f6ae2d", 6),
    ("pod network", "#d98324", READY),
    ("first pod", "#f26419", POD),
];
/// Indices into [`MILESTONES`] of what the captions name.
const READY: usize = 7;
const POD: usize = MILESTONES.len() - 1;

/// Summary of a system's boots for one milestone.
type BootSummary = fn(&Measured, usize) -> Summary;
/// Groups of bars, in order.
const GROUPS: [(&str, BootSummary); 2] = [
    ("First boot", Measured::first_boot),
    ("Second boot, from the same disk", Measured::second_boot),
];

/// Renders the chart as a self-contained SVG document, from the medians of all runs.
pub fn svg(report: &BenchmarkReport) -> String {
    let medians = |summary: BootSummary| report.systems.iter().map(move |system| summary(system, POD).median);
    let longest = GROUPS
        .iter()
        .flat_map(|(_, summary)| medians(*summary))
        .fold(1.0, f64::max);
    let step = tick(longest);
    let scale = (WIDTH - LEFT - RIGHT) / longest;
    let group = TITLE + report.systems.iter().map(|_| BAR + GAP).sum::<f64>();
    let bottom = GROUPS.iter().fold(TOP, |y, _| y + group);
    let height = bottom + 52.0;
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
            "<line x1=\"{x:.1}\" y1=\"{TOP:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\" stroke=\"#d5dbe1\"/>"
        );
        text(&mut svg, x, bottom + 18.0, "middle", "12", &format!("{second:.0}"));
        second += step;
    }
    let mut y = TOP;
    for (title, summary) in GROUPS {
        text(&mut svg, LEFT, y + TITLE - 8.0, "start", "15", title);
        y += TITLE;
        for system in &report.systems {
            bar(&mut svg, y, scale, &system.name, &|milestone| {
                summary(system, milestone).median
            });
            y += BAR + GAP;
        }
    }
    text(&mut svg, LEFT, height - 14.0, "start", "11", &report.setting());
    svg.push_str("</svg>\n");
    svg
}

/// Draws the bar of one system with its name and its caption.
fn bar(svg: &mut String, y: f64, scale: f64, name: &str, median: &dyn Fn(usize) -> f64) {
    text(svg, LEFT - 12.0, y + BAR / 2.0 + 5.0, "end", "15", name);
    let mut before = 0.0;
    for (phase, colour, milestone) in PHASES {
        let at = median(milestone);
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"><title>{phase}: {:.1} s</title></rect>",
            LEFT + before * scale,
            ((at - before) * scale).max(0.0),
            at - before
        );
        before = at;
    }
    let label = format!("Ready {:.1} s, first pod {:.1} s", median(READY), median(POD));
    text(svg, LEFT, y + BAR + 16.0, "start", "13", &label);
}

fn legend(svg: &mut String) {
    let mut x = LEFT;
    for (phase, colour, _) in PHASES {
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"48\" width=\"12\" height=\"12\" fill=\"{colour}\"/>"
        );
        text(svg, x + 18.0, 59.0, "start", "13", phase);
        x += 34.0 + phase.chars().map(|_| 7.0).sum::<f64>();
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
    fn captions_and_phases_name_their_milestones() {
        assert_eq!(
            [READY, POD].map(|index| MILESTONES[index]),
            ["node Ready", "first pod runs"]
        );
        assert!(PHASES.is_sorted_by_key(|(_, _, milestone)| *milestone));
    }

    #[test]
    fn lines_are_at_round_seconds() {
        assert_eq!([5.0, 24.0, 68.0, 400.0].map(tick), [1.0, 5.0, 10.0, 50.0]);
    }
}
