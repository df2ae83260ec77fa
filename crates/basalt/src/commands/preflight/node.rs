//! `basalt preflight node`: what people gave a node, compared with the image that is to take its place.

use std::path::Path;
use std::process::ExitCode;

use basalt_inventory::NodeInventory;
use basalt_preflight::compare_inventory;
use basalt_process::interrupt;
use miette::{Result, miette};

use super::{WantedFacts, facts};
use crate::arguments::PreflightNode;
use crate::checkout::Checkout;
use crate::commands::{answer, answer_json};
use crate::exit;
use crate::text_file::read_text_or_input;

/// Looks at the node, and shows the findings.
pub fn look(options: &PreflightNode, open: impl FnOnce() -> Result<Checkout>, json: bool) -> Result<ExitCode> {
    let inventory = inventory(options)?;
    interrupt::check()?;
    let wanted = WantedFacts {
        file: options.facts.as_deref(),
        image: &options.image,
        config: options.config.as_deref(),
    };
    let (node, _) = facts(&wanted, open)?;
    let report = compare_inventory(&inventory, &node);
    if json {
        answer_json(&report);
    } else {
        answer(report.text().trim_end());
    }
    let is_found = report.worst().is_some_and(|worst| worst >= options.fail_on);
    Ok(match (report.unread.is_empty(), is_found) {
        (false, _) => ExitCode::from(exit::COULD_NOT_LOOK),
        (true, true) => ExitCode::from(exit::FAILED),
        (true, false) => ExitCode::SUCCESS,
    })
}

/// Inventory of a file, or of this machine.
fn inventory(options: &PreflightNode) -> Result<NodeInventory> {
    let Some(path) = &options.inventory else {
        return Ok(NodeInventory::read(Path::new("/")));
    };
    let (name, text) = read_text_or_input(path)?;
    NodeInventory::from_json(&text).map_err(|reason| {
        miette!(
            code = "preflight::inventory",
            help = "give what `basalt-inventory` of the same version printed on the node",
            "`{name}` is no inventory of a node: {reason}"
        )
    })
}
