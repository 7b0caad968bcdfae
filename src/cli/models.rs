//! `nudge models`: what the Hugging Face cache holds, and whether it can be used.

use anyhow::Result;

use super::{args::Models, ending::Ending, output};
use crate::model::Shelf;

pub fn run(args: &Models) -> Result<Ending> {
    let shelf = Shelf::of_user();
    let models = shelf.list();
    if args.json {
        for model in &models {
            output::json(model)?;
        }
        return Ok(Ending::Done);
    }
    if models.is_empty() {
        output::note(format!("No models in {}", shelf.root().display()));
        return Ok(Ending::Done);
    }
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let rows: Vec<Vec<String>> = models
        .iter()
        .map(|model| {
            vec![
                model.name.clone(),
                or_dash(model.family.clone()),
                or_dash(
                    model
                        .parameters
                        .map(|count| format!("{:.1}M", count as f64 / 1e6)),
                ),
                or_dash(model.dtype.clone()),
                or_dash(model.context.map(|context| context.to_string())),
                format!("{:.0} MB", model.bytes as f64 / 1e6),
            ]
        })
        .collect();
    let headings = ["model", "family", "parameters", "dtype", "context", "size"];
    let right = [false, false, true, false, true, true];
    for line in output::table(&headings, &right, &rows) {
        output::line(line)?;
    }
    for model in &models {
        if let Some(reason) = &model.reason {
            output::line(format!("{}: {reason}", model.name))?;
        }
    }
    Ok(Ending::Done)
}
