//! `nudge models`: the models of the Hugging Face cache, or of a folder, and whether they can be used.

use anyhow::Result;
use data::ModelCard;
use engine::catalog::{self, Catalog};
use serde::Serialize;

use super::{args::Models, ending::Ending, output};

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    card: &'a ModelCard,
    supported: bool,
}

pub fn run(args: &Models) -> Result<Ending> {
    let catalog = Catalog::of_user();
    if let Some(folder) = args.folder.as_ref().filter(|folder| !folder.exists()) {
        anyhow::bail!("There is no folder {}.", folder.display());
    }
    let (found, place) = match &args.folder {
        Some(folder) => (catalog.found_in(folder), folder.as_path()),
        None => (catalog.cached(), catalog.cache()),
    };
    let cards: Vec<ModelCard> = found.iter().map(|found| catalog.card(found)).collect();
    if args.json {
        for card in &cards {
            output::json(&Line { card, supported: card.is_supported() })?;
        }
        return Ok(Ending::Done);
    }
    if cards.is_empty() {
        output::note(format!("No models in {}", place.display()));
        return Ok(Ending::Done);
    }
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    // As a run would hold it: what the program takes by itself is part of that.
    let held = catalog::machine().held;
    let rows: Vec<Vec<String>> = cards
        .iter()
        .map(|card| {
            let million = |count| format!("{:.1}M", count as f64 / 1e6);
            vec![
                card.name.clone(),
                or_dash(card.family.clone()),
                or_dash(card.parameters.map(million)),
                or_dash(card.dtype.clone()),
                or_dash(card.context.map(|context| context.to_string())),
                data::size(card.bytes),
                or_dash(card.needs.map(|needs| data::size(held + needs.training))),
            ]
        })
        .collect();
    let headings = ["model", "family", "parameters", "dtype", "context", "size", "to train"];
    let right = [false, false, true, false, true, true, true];
    output::table(&headings, &right, &rows)?;
    for card in &cards {
        for sentence in card.remarks.iter().chain(&card.reason) {
            output::line(format!("{}: {sentence}", card.name))?;
        }
    }
    Ok(Ending::Done)
}
