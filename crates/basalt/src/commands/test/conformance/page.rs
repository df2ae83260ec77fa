//! Page of the documentation with the last result of each test.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::ginkgo::Outcome;
use super::images::{AbsentImage, SuiteImages};
use super::results::{Results, TestResult};

/// State of a test.
#[derive(Debug, Clone, Copy)]
enum State<'a> {
    Failed(&'a TestResult),
    Skipped(&'a TestResult),
    Passed(&'a TestResult),
    Absent(&'a AbsentImage),
    NotRun,
}

/// Titles of the states and what they mean, in the order of [`State::index`].
const TITLES: [(&str, &str); 5] = [
    (
        "failed",
        "The cluster does not do what the test asks for, or not in time.",
    ),
    ("skipped", "The test itself says that it does not apply to the cluster."),
    ("passed", ""),
    ("image not available offline", "See [images](#images)."),
    ("not run yet", "`./basalt test --conformance` goes on with these."),
];

impl State<'_> {
    fn index(self) -> usize {
        match self {
            Self::Failed(_) => 0,
            Self::Skipped(_) => 1,
            Self::Passed(_) => 2,
            Self::Absent(_) => 3,
            Self::NotRun => 4,
        }
    }

    /// Row of the test of this name; the cluster is told by its number.
    fn row(self, name: &str, clusters: &BTreeMap<&str, TestedCluster>) -> String {
        let name = cell(name);
        match self {
            Self::Failed(result) | Self::Skipped(result) | Self::Passed(result) => {
                let TestResult {
                    seconds,
                    date,
                    version,
                    reason,
                    cluster,
                    ..
                } = result;
                let cluster = clusters.get(cluster.as_str()).map_or(0, |cluster| cluster.number);
                let reason = cell(reason.as_deref().unwrap_or_default());
                format!("| {name} | {date} | {version} | {cluster} | {seconds} | {reason} |\n")
            }
            Self::Absent(image) => format!("| {name} | | | | | {} |\n", cell(&image.image)),
            Self::NotRun => format!("| {name} | | | | | |\n"),
        }
    }
}

/// Returns the page for the results in a file of this name.
pub(super) fn page(file: &str, results: &Results, images: &SuiteImages) -> String {
    let states: Vec<(&str, State<'_>)> = results
        .tests
        .iter()
        .map(|(name, result)| (name.as_str(), state(name, result.as_ref(), images)))
        .collect();
    let mut page = format!(
        "# Conformance\n\n\
         Last result of each test of the set [Conformance] of Kubernetes {}'s end-to-end suite. `./basalt test --conformance` wrote \
         this page from\n[{file}]({file}); how to run it: [cluster/conformance.md](cluster/conformance.md).\n\n\
         | result | tests | |\n| --- | ---: | --- |\n",
        results.version
    );
    let clusters = clusters(results);
    for (index, (title, text)) in TITLES.iter().enumerate() {
        let count = states.iter().filter(|(_, state)| state.index() == index).count();
        let _ = writeln!(page, "| {title} | {count} | {text} |");
    }
    let _ = writeln!(page, "| all | {} | |", states.len());
    if !clusters.is_empty() {
        page += "\n| cluster | nodes | results |\n| ---: | --- | ---: |\n";
    }
    for (nodes, TestedCluster { number, results }) in &clusters {
        let _ = writeln!(page, "| {number} | {} | {results} |", cell(nodes));
    }
    for (index, (title, _)) in TITLES.iter().enumerate() {
        let rows: String = states
            .iter()
            .filter(|(_, state)| state.index() == index)
            .map(|(name, state)| state.row(name, &clusters))
            .collect();
        if !rows.is_empty() {
            let header =
                "| test | date | version | cluster | seconds | reason |\n| --- | --- | --- | ---: | ---: | --- |\n";
            let _ = write!(page, "\n## Tests: {title}\n\n{header}{rows}");
        }
    }
    page + &image_tables(images)
}

/// Cluster that results are of.
#[derive(Debug, Default)]
struct TestedCluster {
    /// Number in the page, from 1.
    number: usize,
    /// Number of results.
    results: usize,
}

/// Clusters that results are of, by the names of their nodes.
fn clusters(results: &Results) -> BTreeMap<&str, TestedCluster> {
    let mut clusters: BTreeMap<&str, TestedCluster> = BTreeMap::new();
    for result in results.tests.values().flatten() {
        clusters.entry(result.cluster.as_str()).or_default().results += 1;
    }
    for (number, cluster) in (1..).zip(clusters.values_mut()) {
        cluster.number = number;
    }
    clusters
}

fn state<'a>(name: &str, result: Option<&'a TestResult>, images: &'a SuiteImages) -> State<'a> {
    match result {
        Some(result) => match result.outcome {
            Outcome::Passed => State::Passed(result),
            Outcome::Failed => State::Failed(result),
            Outcome::Skipped => State::Skipped(result),
        },
        None => images.absent_for(name).map_or(State::NotRun, State::Absent),
    }
}

fn image_tables(images: &SuiteImages) -> String {
    let mut tables = "\n## Images\n\n\
        The suite's pods run images of upstream's registry. These are ours, composed of our packages, under upstream's names:\n\n\
        | upstream's | ours | differences |\n| --- | --- | --- |\n"
        .to_owned();
    for image in &images.images {
        let (upstream, ours, note) = (cell(&image.upstream), cell(&image.ours), cell(&image.note));
        let _ = writeln!(tables, "| `{upstream}` | `{ours}` | {note} |");
    }
    tables += "\nFor these there is none:\n\n| upstream's | why |\n| --- | --- |\n";
    for absent in &images.absent {
        let _ = writeln!(tables, "| `{}` | {} |", cell(&absent.image), cell(&absent.reason));
    }
    tables
}

/// Text in a cell of a table: what Markdown would take for something else is escaped.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for letter in text.trim().chars() {
        match letter {
            '\n' => cell.push(' '),
            '|' | '[' | ']' | '<' | '*' | '_' => cell.extend(['\\', letter]),
            letter => cell.push(letter),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use basalt_content::DistributionContent;
    use camino::Utf8Path;

    use super::super::suite_images;
    use super::*;

    /// Pages of the documentation that are made of results.
    const PAGES: [&str; 1] = ["docs/conformance"];

    #[test]
    fn pages_agree_with_their_data() {
        let root = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let images = suite_images(&DistributionContent::of_checkout(&root)).expect("right");
        for path in PAGES {
            let data = root.join(path).with_extension("json");
            let results = Results::read(&data).expect("results");
            assert!(!results.tests.is_empty(), "{data} has no tests");
            let page = page(data.file_name().expect("a file"), &results, &images);
            let written = fs_err::read_to_string(root.join(path).with_extension("md")).expect("a page");
            assert!(
                page == written,
                "{path}.md is not made of its data: `./basalt test --conformance=report`"
            );
            for absent in &images.absent {
                for part in &absent.tests {
                    let known = results.tests.keys().any(|name| name.contains(part));
                    assert!(known, "distro/conformance.toml: no test has `{part}` in its name");
                }
            }
        }
    }

    #[test]
    fn tests_are_listed_by_their_state() {
        let result = |cluster: &str| TestResult {
            outcome: Outcome::Failed,
            reason: Some("a | b".to_owned()),
            seconds: 7,
            date: "2026-11-29".to_owned(),
            version: "v1".to_owned(),
            cluster: cluster.to_owned(),
        };
        let tests = [
            ("[sig-a] A", Some(result("2 nodes"))),
            ("B", None),
            ("C volume", None),
            ("D", Some(result("1 node"))),
        ];
        let results = Results {
            version: "v1".to_owned(),
            tests: tests.map(|(name, result)| (name.to_owned(), result)).into(),
        };
        let text = "[[absent]]\nimage = \"kitten\"\nreason = \"not made\"\ntests = [\"volume\"]\n";
        let page = page("r.json", &results, &SuiteImages::parse("x", text).expect("right"));
        for row in [
            "| failed | 2 |",
            "| passed | 0 |",
            "| all | 4 |",
            "| cluster | nodes | results |\n| ---: | --- | ---: |\n| 1 | 1 node | 1 |\n| 2 | 2 nodes | 1 |\n",
            "## Tests: failed\n\n| test | date | version | cluster | seconds | reason |\n| --- | --- | --- | ---: | ---: | --- |\n\
             | D | 2026-11-29 | v1 | 1 | 7 | a \\| b |\n\
             | \\[sig-a\\] A | 2026-11-29 | v1 | 2 | 7 | a \\| b |\n",
            "| C volume | | | | | kitten |\n",
            "| B | | | | | |\n",
            "| `kitten` | not made |\n",
        ] {
            assert!(page.contains(row), "{row}\n{page}");
        }
        assert!(!page.contains("## Tests: passed"));
    }
}
