//! What there is to say of a run that was handed over to another machine.

use store::{RunRecord, RunStatus};

/// When something was last heard of it; nothing of a run that is here.
pub fn heard(record: &RunRecord, now_ms: i64) -> Option<String> {
    let away = record.away.as_ref().filter(|_| record.status == RunStatus::Away)?;
    Some(match away.heard_ms {
        None => "nothing heard yet; nudge follow brings its numbers here".to_owned(),
        // A clock may have been set back since.
        Some(heard) => format!("last heard {} ago", data::duration((now_ms - heard).max(0) as f64 / 1000.0)),
    })
}

#[cfg(test)]
mod tests {
    use store::Away;

    use super::*;

    #[test]
    fn silence_is_told_of_runs_that_are_away_and_no_others() {
        let record = |status, heard_ms| RunRecord {
            status,
            away: Some(Away { heard_ms, ..Away::default() }),
            ..RunRecord::default()
        };
        let said = |status, heard_ms| heard(&record(status, heard_ms), 100_000);
        assert!(said(RunStatus::Away, None).unwrap().starts_with("nothing heard yet"));
        assert_eq!(said(RunStatus::Away, Some(86_000)).unwrap(), "last heard 14 s ago");
        assert_eq!(said(RunStatus::Away, Some(200_000)).unwrap(), "last heard 0 s ago");
        assert_eq!(said(RunStatus::Completed, Some(86_000)), None);
        assert_eq!(heard(&RunRecord { status: RunStatus::Away, ..RunRecord::default() }, 1), None);
    }
}
