//! `nudge change`: the same change to many pairs.

use anyhow::{Context as _, Result};
use data::counted;
use serde_json::json;
use store::Bulk;

use super::{
    args::Change,
    ending::{Ending, usage},
    output,
};

pub fn run(args: &Change) -> Result<Ending> {
    if !args.all && !args.which.narrows() {
        return Err(usage("Say which pairs, e.g. --tagged old or --margin ..-2; or --all."));
    }
    let bulk = bulk(args).context("Say what becomes of the pairs.")?;
    let mut project = args.place.open()?;
    let found = args.which.find(&project)?;
    let applied = project.change_many(&found, &bulk)?;
    if args.json {
        output::json(&json!({
            "found": found.len(), "pairs": applied.pairs, "change": applied.label, "revision": applied.revision,
        }))?;
    } else if applied.pairs.is_empty() {
        let found = counted(found.len(), "pair fits", "pairs fit");
        output::line(format!("{found}; nothing was changed"))?;
    } else {
        output::line(format!("{}, as one step that can be undone in the window", applied.label))?;
    }
    Ok(Ending::Done)
}

fn bulk(args: &Change) -> Option<Bulk> {
    let named = [args.tag.clone().map(Bulk::Tag), args.untag.clone().map(Bulk::Untag), args.split.map(Bulk::Split)];
    let flags = [args.flip.then_some(Bulk::Flip), args.delete.then_some(Bulk::Delete)];
    named.into_iter().chain(flags).flatten().next()
}
