//! `nudge suspects`: labels that a run argues against.

use anyhow::Result;
use data::suspects::MarginScore;
use serde_json::json;

use super::{args::Suspects, ending::Ending, output};

pub fn run(args: &Suspects) -> Result<Ending> {
    let (project, record) = args.of.open()?;
    let standings = project.standings(record.id)?;
    let judged = standings.len();
    let suspects: Vec<MarginScore> =
        standings.into_iter().filter(|standing| args.all || standing.is_suspect()).collect();
    if args.json {
        for MarginScore { pair, visits, standing, margin, middle } in suspects {
            let is_suspect = standing <= data::suspects::LOW;
            output::json(&json!({
                "pair": pair, "suspect": is_suspect, "standing": standing, "visits": visits, "margin": margin, "middle": middle,
            }))?;
        }
        return Ok(Ending::Done);
    }
    let name = &record.name;
    if judged == 0 {
        let kind = record.config()?.objective.kind;
        let why = if kind.samples() {
            "learns from the scores of answers that it writes and meets no label"
        } else {
            "has met no label of today twice; train for two epochs or more"
        };
        output::line(format!("{name} {why}"))?;
        return Ok(Ending::Done);
    }
    let ids = suspects.iter().map(|standing| standing.pair).collect::<Vec<_>>();
    let rows: Vec<Vec<String>> = suspects
        .iter()
        .zip(project.rows(&ids)?)
        .map(|(standing, row)| {
            let MarginScore { pair, visits, standing, margin, middle } = standing;
            vec![
                pair.0.to_string(),
                format!("{standing:.2}"),
                format!("{margin:.2}"),
                format!("{middle:.2}"),
                visits.to_string(),
                output::one_line(&row.prompt, 40),
            ]
        })
        .collect();
    let headings = ["pair", "standing", "margin", "middle", "visits", "prompt"];
    output::table(&headings, &[true, true, true, true, true, false], &rows)?;
    output::note(format!("{name} argues against {} of the {judged} labels that it met twice or more", ids.len()));
    Ok(Ending::Done)
}
