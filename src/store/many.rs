//! The same change to many pairs at once: set by set in SQL, so that a million of them take seconds.

use rusqlite::{Transaction, params, types::Value};

use super::{
    Applied, Project,
    journal::{newest_revision, record_edit},
    pairs::STATE,
    project::{Keep, Result, now_ms},
};
use ::data::{PairId, Split, counted};

/// What is done to all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bulk {
    Tag(String),
    Untag(String),
    Split(Split),
    /// The rejected answer is the better one after all; pairs without a better answer stay as they are.
    Flip,
    Delete,
}

impl Bulk {
    /// Which newest versions it changes; `?1` is [`Bulk::value`].
    fn changes(&self) -> &'static str {
        match self {
            Self::Tag(_) => "NOT EXISTS (SELECT 1 FROM json_each(versions.tags) WHERE value = ?1)",
            Self::Untag(_) => "EXISTS (SELECT 1 FROM json_each(versions.tags) WHERE value = ?1)",
            Self::Split(_) => "split <> ?1",
            Self::Flip => "state = 1 AND ?1 IS NOT NULL",
            Self::Delete => "?1 IS NULL",
        }
    }

    /// Verdict, its time, split and tags afterwards; nothing stays of a deleted pair.
    fn after(&self) -> Option<[&'static str; 4]> {
        let same = ["verdict", "verdict_at", "split", "tags"];
        let [verdict, at, split, tags] = same;
        Some(match self {
            Self::Tag(_) => [verdict, at, split, "json_insert(tags, '$[#]', ?1)"],
            Self::Untag(_) => {
                let others = "(SELECT json_group_array(value) FROM json_each(versions.tags) WHERE value <> ?1)";
                [verdict, at, split, others]
            }
            Self::Split(_) => [verdict, at, "?1", tags],
            Self::Flip => {
                let flipped = "json_remove(json_set(verdict,
                     '$.choice.better.chosen', json_extract(verdict, '$.choice.better.rejected'),
                     '$.choice.better.rejected', json_extract(verdict, '$.choice.better.chosen'),
                     '$.who', 'local', '$.at_ms', ?1), '$.took_ms', '$.shown_left', '$.order')";
                [flipped, "?1", split, tags]
            }
            Self::Delete => return None,
        })
    }

    fn value(&self) -> Value {
        match self {
            Self::Tag(tag) | Self::Untag(tag) => tag.clone().into(),
            Self::Split(split) => super::query::split_number(*split).into(),
            Self::Flip => now_ms().into(),
            Self::Delete => Value::Null,
        }
    }

    /// What the journal calls it.
    fn label(&self, pairs: usize) -> String {
        let pairs = counted(pairs, "pair", "pairs");
        match self {
            Self::Tag(tag) => format!("Tag {pairs} “{tag}”"),
            Self::Untag(tag) => format!("Take the tag “{tag}” from {pairs}"),
            Self::Split(Split::Auto) => format!("Split {pairs} by prompt"),
            Self::Split(Split::Train) => format!("Pin {pairs} to training"),
            Self::Split(Split::Eval) => format!("Pin {pairs} to held-out"),
            Self::Flip => format!("Flip {pairs}"),
            Self::Delete => format!("Delete {pairs}"),
        }
    }
}

impl Project {
    /// One transaction and one step of the journal, on the disk when this returns. Pairs that are as they should be
    /// already, or are gone, are left out; when none is left there is no revision.
    pub fn change_many(&mut self, pairs: &[PairId], bulk: &Bulk) -> Result<Applied> {
        self.write(Keep::PowerLoss, |tx| {
            let pairs = to_change(tx, pairs, bulk)?;
            let label = bulk.label(pairs.len());
            if pairs.is_empty() {
                return Ok(Applied { label, pairs, revision: newest_revision(tx)? });
            }
            let revision = record_edit(tx, &label)?;
            tx.execute(
                "UPDATE versions SET revision_to = ?1 WHERE revision_to IS NULL AND pair IN (SELECT pair FROM chosen)",
                [revision.0 as i64],
            )?;
            if let Some([verdict, at, split, tags]) = bulk.after() {
                let sql = format!(
                    "INSERT INTO versions (pair, revision_from, {STATE})
                     SELECT pair, ?2, content, state, strength, {verdict}, {at}, {split}, source, {tags}, note, reward,
                         behaviour, len_bytes, prompt_key
                     FROM versions WHERE revision_to = ?2 AND ?1 IS NOT NULL"
                );
                tx.execute(&sql, params![bulk.value(), revision.0 as i64])?;
            }
            tx.execute("DELETE FROM chosen", [])?;
            Ok(Applied { label, pairs, revision })
        })
    }
}

/// Those of the pairs that change, which stand in the table `chosen` afterwards.
fn to_change(tx: &Transaction<'_>, pairs: &[PairId], bulk: &Bulk) -> Result<Vec<PairId>> {
    tx.execute_batch("CREATE TEMP TABLE IF NOT EXISTS chosen (pair INTEGER PRIMARY KEY); DELETE FROM chosen")?;
    let mut insert = tx.prepare("INSERT OR IGNORE INTO chosen (pair) VALUES (?1)")?;
    for pair in pairs {
        insert.execute([pair.0])?;
    }
    tx.execute(
        &format!(
            "DELETE FROM chosen WHERE pair NOT IN (SELECT pair FROM versions WHERE revision_to IS NULL
                 AND pair IN (SELECT pair FROM chosen) AND {})",
            bulk.changes()
        ),
        [bulk.value()],
    )?;
    let mut chosen = tx.prepare("SELECT pair FROM chosen ORDER BY pair")?;
    let chosen = chosen.query_map([], |row| Ok(PairId(row.get(0)?)))?.collect::<rusqlite::Result<_>>()?;
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProjectSettings;
    use ::data::{Change, Choice, Edit, Pair, Prompt, Strength, Verdict};

    const CLEARLY: Choice = Choice::Better { chosen: 1, rejected: 0, strength: Strength::Clearly };

    /// Three pairs: decided, a tie, unlabelled; the first is tagged "a" and "b".
    fn project() -> (tempfile::TempDir, Project, Vec<PairId>) {
        let dir = tempfile::tempdir().unwrap();
        let mut project = Project::create(dir.path(), &ProjectSettings::default()).unwrap();
        let verdict = |choice| Verdict { took_ms: Some(9), shown_left: Some(0), ..Verdict::imported(choice, 5) };
        let mut pairs = [0, 1, 2].map(|n| Pair::new(PairId::NEW, Prompt::Text(format!("p{n}")), &["x", "y"]));
        pairs[0].verdict = Some(verdict(CLEARLY));
        pairs[0].tags = vec!["a".to_owned(), "b".to_owned()];
        pairs[0].note = "kept".to_owned();
        pairs[1].verdict = Some(verdict(Choice::Tie));
        let ids = project.apply(&Change::new("Import", pairs.map(Edit::add).into())).unwrap().pairs;
        (dir, project, ids)
    }

    #[test]
    fn each_change_is_one_step_of_those_that_it_changes() {
        let (_dir, mut project, ids) = project();
        let before = project.pairs(&ids).unwrap();
        for (bulk, label, touched) in [
            (Bulk::Tag("a".to_owned()), "Tag 2 pairs “a”", &ids[1..]),
            (Bulk::Untag("b".to_owned()), "Take the tag “b” from 1 pair", &ids[..1]),
            (Bulk::Split(Split::Eval), "Pin 3 pairs to held-out", &ids[..]),
            (Bulk::Flip, "Flip 1 pair", &ids[..1]),
            (Bulk::Delete, "Delete 3 pairs", &ids[..]),
        ] {
            let applied = project.change_many(&ids, &bulk).unwrap();
            assert_eq!((applied.label.as_str(), &applied.pairs[..]), (label, touched));
        }
        assert_eq!(project.counts().unwrap().total(), 0);
        project.undo().unwrap();
        let now = project.pairs(&ids).unwrap();
        assert_eq!(now[0].tags, ["a"]);
        assert_eq!(now[2].tags, ["a"]);
        assert!(now.iter().all(|pair| pair.split == Split::Eval));
        let verdict = now[0].verdict.clone().unwrap();
        assert_eq!(verdict.choice, Choice::Better { chosen: 0, rejected: 1, strength: Strength::Clearly });
        assert_eq!((verdict.who.as_str(), verdict.took_ms, verdict.shown_left), ("local", None, None));
        assert!(verdict.at_ms > 5 && now[0].note == "kept");
        assert_eq!(now[1].choice(), Some(Choice::Tie));
        while project.undo().unwrap().is_some_and(|applied| applied.label != "Tag 2 pairs “a”") {}
        assert_eq!(project.pairs(&ids).unwrap(), before);
    }

    #[test]
    fn what_changes_nothing_is_no_revision() {
        let (_dir, mut project, ids) = project();
        let revision = project.revision().unwrap();
        let gone = [PairId(99)];
        for (pairs, bulk) in [(&ids[1..], Bulk::Flip), (&ids[..], Bulk::Split(Split::Auto)), (&gone, Bulk::Delete)] {
            let applied = project.change_many(pairs, &bulk).unwrap();
            assert!(applied.pairs.is_empty() && applied.revision == revision, "{bulk:?}");
        }
        assert_eq!(project.can_undo().unwrap().as_deref(), Some("Import"));
    }
}
